"""Opt-outs."""

import json
from dataclasses import dataclass

from service.domain.audit import Event, EventType, of_opt_out
from service.store import keys
from service.store.connection import Connection
from service.store.keys import RecipientKeys
from service.store.records import dump
from service.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class OptOut:
    """A recorded opt-out; ``source`` says how it came: ``inbound``, ``telnyx`` or ``api``."""

    masked: str
    since: int
    source: str


class RecipientStore:
    """What is known of recipients beside their verifications."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    async def opt_out(self, recipient_id: str, entry: OptOut, *, actor: str) -> list[str] | None:
        """Record an opt-out; gives the ids of the verifications it stops, ``None`` if it was known."""
        event = of_opt_out(
            EventType.OPT_OUT_RECORDED,
            recipient_id,
            entry.masked,
            entry.since,
            actor=actor,
            source=entry.source,
        )
        k = RecipientKeys(recipient_id)
        reply = await self._scripts.run(
            "opt_out",
            {
                "opt_out": k.opt_out,
                "opt_outs": k.opt_outs,
                "active": k.active,
                "due": k.due,
                "audit": k.audit,
            },
            {
                "recipient": recipient_id,
                "prefix": k.prefix,
                "now": entry.since,
                "entry": dump(
                    {"masked": entry.masked, "since": entry.since, "source": entry.source}
                ),
                "event": dump(event),
            },
        )
        return reply[1:] if reply[0] == "ok" else None

    async def opt_in(self, recipient_id: str, event: Event) -> bool:
        """Lift an opt-out; ``False`` if there was none."""
        k = RecipientKeys(recipient_id)
        reply = await self._scripts.run(
            "opt_in",
            {"opt_out": k.opt_out, "opt_outs": k.opt_outs, "audit": k.audit},
            {"recipient": recipient_id, "event": dump(event)},
        )
        return reply[0] == "ok"

    async def get_opt_out(self, recipient_id: str) -> OptOut | None:
        found = await self._connection.command("GET", RecipientKeys(recipient_id).opt_out)
        return _load(found) if found else None

    async def list_opt_outs(self, cursor: tuple[int, int], limit: int) -> "OptOutPage":
        """A page, partition by partition, oldest first. ``cursor``: partition and rank to go on from;
        an opt-out that is lifted meanwhile may move its followers one page forward."""
        partition, rank = cursor
        found: list[OptOut] = []
        while partition < keys.PARTITIONS and len(found) < limit:
            prefix = keys.prefix(partition)
            stop = rank + limit - len(found) - 1
            ids = await self._connection.command("ZRANGE", f"{prefix}oo", rank, stop)
            if ids:
                entries = await self._connection.command("MGET", *(f"{prefix}o:{i}" for i in ids))
                found += [_load(entry) for entry in entries if entry]
            if len(ids) < stop - rank + 1:
                partition, rank = partition + 1, 0
            else:
                rank += len(ids)
        return OptOutPage(found, (partition, rank) if partition < keys.PARTITIONS else None)


@dataclass(frozen=True, slots=True)
class OptOutPage:
    """``next``: the cursor of the next page, ``None`` after the last."""

    items: list[OptOut]
    next: tuple[int, int] | None


def _load(entry: str) -> OptOut:
    return OptOut(**json.loads(entry))
