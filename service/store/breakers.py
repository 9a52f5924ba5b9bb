"""Breakers: one hash that decides (partition 00), and a copy of who is open in each partition, where each
message is looked at anyway."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.audit import Event
from service.domain.breaker import FORGOTTEN, MOST, BreakerPolicy
from service.store import keys
from service.store.connection import Connection
from service.store.records import dump, pairs
from service.store.scripts import Names, Scripts

_ABOUT: tuple[str, ...] = ("app", "country", "masked")
_DECIDES = {"breakers": keys.BREAKERS}
_AUDITED = {**_DECIDES, "audit": f"{keys.prefix(0)}audit"}


@dataclass(frozen=True, slots=True)
class Open:
    """An open breaker: until when (milliseconds), for which time in a row, for which code of Telnyx's, and
    about whom it was opened. After ``until`` single messages are tried."""

    route: str
    until: int
    strikes: int
    code: str
    about: Mapping[str, str]


class BreakerStore:
    """Opens, tries and closes."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    async def trip(
        self, route: str, policy: BreakerPolicy, *, about: Mapping[str, str], now: int, event: Event
    ) -> bool:
        """Open a breaker, or leave it open; ``True`` if this opened it."""
        reply = await self._scripts.run(
            "trip_breaker",
            _AUDITED,
            {
                "route": route,
                "now": now,
                "hold": policy.hold,
                "longest": policy.longest_hold,
                "most": MOST,
                "keep": _keep(policy),
                "about": dump(about),
                "event": dump(event),
            },
        )
        if reply[0] != "full":
            # Where it was open already too: whoever opened it may have died before it told all partitions.
            await self._tell(("HSET", route, reply[1]), keep=_keep(policy))
        return reply[0] == "open"

    async def may_try(self, route: str, now: int, pause: int) -> bool:
        """Whether one message may go through an open breaker; no other may for ``pause`` milliseconds."""
        args: Names = {"route": route, "now": now, "pause": pause}
        reply = await self._scripts.run("try_breaker", _DECIDES, args)
        if reply[0] == "closed":
            await self._tell(("HDEL", route))
        return reply[0] != "held"

    async def close(self, route: str, since: int, event: Event) -> bool:
        """Close a breaker that was not opened after ``since``; ``False`` if there is none."""
        args: Names = {"route": route, "since": since, "event": dump(event)}
        reply = await self._scripts.run("close_breaker", _AUDITED, args)
        if reply[0] != "ok":
            return False
        await self._tell(("HDEL", route))
        return True

    async def opened(self) -> list[Open]:
        """All that are open or being tried, the longest first."""
        found = pairs(await self._connection.command("HGETALL", keys.BREAKERS))
        listed = [_read(route, json.loads(entry)) for route, entry in found.items()]
        return sorted(listed, key=lambda one: (-one.until, one.route))

    async def _tell(self, change: tuple[str, ...], keep: int | None = None) -> None:
        command, *rest = change
        copies = [keys.open_breakers(partition) for partition in range(keys.PARTITIONS)]
        batch: list[tuple[str | int, ...]] = [(command, copy, *rest) for copy in copies]
        if keep is not None:
            batch += [("PEXPIRE", copy, keep) for copy in copies]
        await self._connection.commands(batch)


def _keep(policy: BreakerPolicy) -> int:
    return policy.longest_hold + FORGOTTEN


def _read(route: str, entry: dict[str, object]) -> Open:
    about = {name: str(entry[name]) for name in _ABOUT if name in entry}
    until, strikes = int(str(entry["open_until"])), int(str(entry["strikes"]))
    return Open(route, until, strikes, str(entry["code"]), about)
