"""The limits that do not belong to a recipient, and what they refused."""

from collections.abc import Callable, Sequence

from service.domain.audit import Event
from service.domain.guard import Exceeded, Limit, LimitKey, Standing, last_free
from service.store import keys
from service.store.connection import Connection
from service.store.keys import RecipientKeys
from service.store.records import dump
from service.store.scripts import Call, Reply, Scripts
from service.store.verifications import exceeded, write_windows


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
        """``take_with``, with nothing."""
        return (await self.take_with(limits, member, now, []))[0]

    async def take_with(
        self, limits: Sequence[LimitKey], member: str, now: int, others: list[Call]
    ) -> tuple[tuple[Standing, ...] | Exceeded, list[Reply]]:
        """``take_each``, or of several limits that are used up the one that is free again last."""
        taken, replies = await self.take_each(limits, member, now, others)
        if exceeded := [one for one in taken if isinstance(one, Exceeded)]:
            return last_free(exceeded), replies
        return tuple(one for one in taken if isinstance(one, Standing)), replies

    async def take_each(
        self, limits: Sequence[LimitKey], member: str, now: int, others: list[Call]
    ) -> tuple[list[Standing | Exceeded], list[Reply]]:
        """Count ``member`` once against each limit, and run other scripts, in one round trip. What the
        others counted stays counted until it is given back."""
        calls = [
            Call(
                "take_limit",
                {"limit": self._key(key)},
                {
                    "windows": write_windows(key.windows),
                    "member": member,
                    "now": now,
                },
            )
            for key in limits
        ]
        calls += others
        replies = await self._scripts.run_all(calls) if calls else []
        taken = [
            exceeded(key.limit, reply) if reply[0] == "limited" else _standing(key.limit, reply)
            for key, reply in zip(limits, replies, strict=False)
        ]
        return taken, replies[len(limits) :]

    async def give_back(self, limits: Sequence[LimitKey], member: str) -> None:
        """A start was refused after all: it counts against nothing."""
        if limits:
            await self._connection.commands([("ZREM", self._key(key), member) for key in limits])

    async def record_blocked(self, recipient_id: str, event: Event) -> None:
        """Record a refusal that no script of the recipient's wrote down."""
        audit = RecipientKeys(recipient_id).audit
        await self._scripts.run("block", {"audit": audit}, {"event": dump(event)})

    def _key(self, key: LimitKey) -> str:
        return keys.shared_limit(key.limit, self._digest(key.limit, key.value))


def _standing(limit: str, reply: Reply) -> Standing:
    window = Limit(int(reply[1]), int(reply[2]))
    return Standing(limit, window, int(reply[3]), int(reply[4]))
