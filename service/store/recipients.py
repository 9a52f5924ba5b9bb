"""Opt-outs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from service.domain.audit import Event, EventType, of_opt_out
from service.domain.opt_out_scope import EVERYTHING
from service.store import keys
from service.store.connection import Connection
from service.store.keys import RecipientKeys
from service.store.records import dump, pairs
from service.store.scripts import Call, Scripts


@dataclass(frozen=True, slots=True)
class OptOut:
    """A recorded opt-out; ``source`` says how it came: ``inbound``, ``telnyx`` or ``api``; ``scope``: of
    what (``*``: everything)."""

    masked: str
    since: int
    source: str
    scope: str = EVERYTHING


class RecipientStore:
    """What is known of recipients beside their verifications."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    async def opt_out(
        self, recipient_id: str, entry: OptOut, *, actor: str, now: int | None = None
    ) -> list[str] | None:
        """Record an opt-out; gives the ids of the verifications it stops, ``None`` if it was known.
        ``now`` is given where the opt-out is older than its record."""
        at = entry.since if now is None else now
        (reply,) = await self._scripts.run_all([opt_out_call(recipient_id, entry, actor, at)])
        return reply[1:] if reply[0] == "ok" else None

    async def opt_in(self, recipient_id: str, scopes: Sequence[str], event: Event) -> bool:
        """Lift the opt-outs of these scopes; ``False`` if there was none."""
        k = RecipientKeys(recipient_id)
        calls = [
            Call(
                "opt_in",
                {
                    "entry": k.opt_out_of(scope),
                    "opt_outs": k.opt_outs,
                    "listed": k.listed,
                    "audit": k.audit,
                },
                {"member": k.opt_out_member(scope), "event": dump(in_scope(event, scope))},
            )
            for scope in scopes
        ]
        return any(reply[0] == "ok" for reply in await self._scripts.run_all(calls))

    async def get_opt_out(self, recipient_id: str, scopes: Sequence[str]) -> OptOut | None:
        """The first that there is, in the order of the scopes."""
        k = RecipientKeys(recipient_id)
        found = await self._connection.command("MGET", *map(k.opt_out_of, scopes))
        return next((_load(entry) for entry in found if entry), None)

    async def opt_outs_of(self, recipient_id: str) -> list[OptOut]:
        """All of a recipient's, under every scope. It looks through the partition: for operators."""
        k = RecipientKeys(recipient_id)
        members, cursor = {recipient_id}, "0"
        while True:
            pattern = f"{recipient_id}:*"
            cursor, flat = await self._connection.command(
                "ZSCAN", k.opt_outs, cursor, "MATCH", pattern, "COUNT", 1_000
            )
            members |= pairs(flat).keys()
            if str(cursor) == "0":
                break
        found = await self._connection.command(
            "MGET", *(f"{k.prefix}o:{m}" for m in sorted(members))
        )
        return [_load(entry) for entry in found if entry]

    async def list_opt_outs(self, cursor: tuple[int, int], limit: int) -> "OptOutPage":
        """A page, partition by partition, oldest first. ``cursor``: partition and rank to go on from;
        an opt-out that is lifted meanwhile may move its followers one page forward."""
        partition, rank = cursor
        found: list[OptOut] = []
        recipients: list[str] = []
        while partition < keys.PARTITIONS and len(found) < limit:
            prefix = keys.prefix(partition)
            stop = rank + limit - len(found) - 1
            ids = await self._connection.command("ZRANGE", f"{prefix}oo", rank, stop)
            if ids:
                entries = await self._connection.command("MGET", *(f"{prefix}o:{i}" for i in ids))
                there = [(i, entry) for i, entry in zip(ids, entries, strict=True) if entry]
                recipients += [member.partition(":")[0] for member, _ in there]
                found += [_load(entry) for _, entry in there]
            if len(ids) < stop - rank + 1:
                partition, rank = partition + 1, 0
            else:
                rank += len(ids)
        following = (partition, rank) if partition < keys.PARTITIONS else None
        return OptOutPage(found, following, recipients)

    async def record_all(self, found: Sequence[tuple[str, OptOut]], *, actor: str, now: int) -> int:
        """Record many in one round trip; gives how many were not known. Workers stop what is pending."""
        calls = [opt_out_call(id_, entry, actor, now) for id_, entry in found]
        replies = await self._scripts.run_all(calls) if calls else []
        return sum(reply[0] == "ok" for reply in replies)


@dataclass(frozen=True, slots=True)
class OptOutPage:
    """``next``: the cursor of the next page, ``None`` after the last. ``recipients``: the look-up ids of the
    items."""

    items: list[OptOut]
    next: tuple[int, int] | None
    recipients: list[str]


def opt_out_call(
    recipient_id: str, entry: OptOut, actor: str, now: int, listed_at: int | None = None
) -> Call:
    """The run of the script that records an opt-out; ``listed_at``: when the look at Telnyx's list that
    has it began."""
    k = RecipientKeys(recipient_id)
    event = of_opt_out(
        EventType.OPT_OUT_RECORDED,
        recipient_id,
        entry.masked,
        now,
        actor=actor,
        source=entry.source,
    )
    # As it was written before there were scopes, where there is none.
    value = {name: v for name, v in asdict(entry).items() if (name, v) != ("scope", EVERYTHING)}
    return Call(
        "opt_out",
        {
            "entry": k.opt_out_of(entry.scope),
            "opt_outs": k.opt_outs,
            "listed": k.listed,
            "active": k.active,
            "due": k.due,
            "audit": k.audit,
        },
        {
            "member": k.opt_out_member(entry.scope),
            "scope": entry.scope,
            "prefix": k.prefix,
            "now": now,
            "since": entry.since,
            "source": entry.source,
            "value": dump(value),
            "listed_at": "" if listed_at is None else listed_at,
            "event": dump(in_scope(event, entry.scope)),
        },
    )


def in_scope(event: Event, scope: str) -> Event:
    """An opt-out's event, with its scope where that is not everything."""
    return event if scope == EVERYTHING else event | {"scope": scope}


def _load(entry: str) -> OptOut:
    return OptOut(**json.loads(entry))
