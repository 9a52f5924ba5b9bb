"""The limits that do not belong to a recipient, and what they refused."""

import asyncio
from collections.abc import Callable, Sequence

from service.domain.audit import Event
from service.domain.guard import Exceeded, Limit, LimitKey, Standing
from service.store import keys
from service.store.connection import Connection
from service.store.keys import RecipientKeys
from service.store.records import dump
from service.store.scripts import Call, Reply, Scripts
from service.store.verifications import exceeded


class LimitStore:
    """``digest`` is keyed: no address, prefix or key of a caller's stands in Redis."""

    def __init__(
        self, connection: Connection, scripts: Scripts, digest: Callable[[str, str], str]
    ) -> None:
        self._connection = connection
        self._scripts = scripts
        self._digest = digest

    async def take(
        self, limits: Sequence[LimitKey], member: str, now: int
    ) -> tuple[Standing, ...] | Exceeded:
        """Count ``member`` once against each limit, in one round trip.

        Of several that are used up the one that is free again last is given. What the others counted
        stays counted until it is given back.
        """
        calls = [
            Call(
                "take_limit",
                {"limit": self._key(key)},
                {
                    "windows": ",".join(f"{w.count}/{w.seconds}" for w in key.windows),
                    "member": member,
                    "now": now,
                },
            )
            for key in limits
        ]
        replies = await self._scripts.run_all(calls) if calls else []
        found = list(zip(limits, replies, strict=True))
        refused = [exceeded(key.limit, reply) for key, reply in found if reply[0] == "limited"]
        if refused:
            return max(refused, key=lambda one: one.retry_after)
        return tuple(_standing(key.limit, reply) for key, reply in found)

    async def give_back(
        self,
        limits: Sequence[LimitKey],
        member: str,
        recipient_id: str | None = None,
        event: Event | None = None,
    ) -> None:
        """A start was refused: it counts against nothing, and leaves its event unless a script of the
        recipient's wrote it."""
        work = []
        if limits:
            batch = [("ZREM", self._key(key), member) for key in limits]
            work.append(asyncio.ensure_future(self._connection.commands(batch)))
        if recipient_id is not None and event is not None:
            audit = RecipientKeys(recipient_id).audit
            block = self._scripts.run("block", {"audit": audit}, {"event": dump(event)})
            work.append(asyncio.ensure_future(block))
        await asyncio.gather(*work)

    def _key(self, key: LimitKey) -> str:
        return keys.shared_limit(key.limit, self._digest(key.limit, key.value))


def _standing(limit: str, reply: Reply) -> Standing:
    window = Limit(int(reply[1]), int(reply[2]))
    return Standing(limit, window, int(reply[3]), int(reply[4]))
