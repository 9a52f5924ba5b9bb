"""What a sync with Telnyx's list of opt-outs keeps: how far it came, who is at it, what the list had."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from service.domain.audit import EventType
from service.store import keys
from service.store.connection import Connection
from service.store.recipients import OptOut, opt_out_call
from service.store.records import dump
from service.store.scripts import Call, Scripts

LEASE = 30_000
"""Milliseconds after which the run of a process that died may be taken up; each page renews it."""
_KEEP = 30 * 86_400_000
_LIFTED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of Telnyx's list: recorded now, known before, skipped for want of a phone number. ``lifted``: ours
    that Telnyx no longer has; ``only_here``: ours that it has not, and that stay."""

    rows: int = 0
    recorded: int = 0
    known: int = 0
    skipped: int = 0
    lifted: int = 0
    only_here: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One look at the list: begun at (milliseconds), the page to read next, and the list's length when
    the page before it was read."""

    began: int
    page: int = 1
    total: int = 0
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True)
class SyncState:
    """``run``: the look under way. ``last``: when the last one that came to its end began; ``complete``: the
    last two of them that prove something, newest first."""

    run: Run | None = None
    last: int | None = None
    complete: tuple[int, ...] = ()

    def ended(self) -> "SyncState":
        """A list without a single row proves nothing: another account's key, or a fault, reads alike."""
        if self.run is None:
            return self
        proves = (self.run.began,) if self.run.total else ()
        return SyncState(None, self.run.began, (*proves, *self.complete)[:2])


@dataclass(slots=True)
class Held:
    """The lease, and the state as its holder last saved it."""

    token: str
    saved: str
    state: SyncState = field(default_factory=SyncState)


class LostSyncError(Exception):
    """Another process took the sync over: it goes on with it."""


class OptOutSyncStore:
    """One sync at a time in the whole installation."""

    def __init__(self, connection: Connection, scripts: Scripts, lease: int = LEASE) -> None:
        self._connection = connection
        self._scripts = scripts
        self._lease = lease

    async def state(self) -> SyncState:
        return _load(await self._connection.command("GET", keys.SYNC))

    async def take(self) -> Held | None:
        """The lease; ``None`` while another process holds it."""
        token = secrets.token_hex(8)
        taken = await self._connection.command(
            "SET", keys.SYNC_LEASE, token, "NX", "PX", self._lease
        )
        if not taken:
            return None
        saved = await self._connection.command("GET", keys.SYNC) or ""
        return Held(token, saved, _load(saved))

    async def save(self, held: Held, state: SyncState, *, let_go: bool = False) -> None:
        """Raises LostSyncError."""
        value = dump(asdict(state))
        reply = await self._scripts.run(
            "save_sync",
            {"state": keys.SYNC, "lease": keys.SYNC_LEASE},
            {
                "token": held.token,
                "expected": held.saved,
                "value": value,
                "keep": _KEEP,
                "lease_time": 0 if let_go else self._lease,
            },
        )
        if reply[0] != "ok":
            raise LostSyncError
        held.saved, held.state = value, state

    async def record(self, found: Sequence[tuple[str, OptOut]], began: int, now: int) -> int:
        """Record a page of the list in one round trip; gives how many were not known. ``found``: look-up
        ids and entries."""
        calls = [opt_out_call(id_, entry, "telnyx", now, began) for id_, entry in found]
        replies = await self._scripts.run_all(calls) if calls else []
        return sum(reply[0] == "ok" for reply in replies)

    async def lift_unlisted(self, before: int, now: int) -> int:
        """Lift what no look at the list since ``before`` had, all partitions in one round trip at a time."""
        event = dump(
            {
                "type": EventType.OPT_OUT_LIFTED,
                "at": now,
                "actor": "countersign",
                "source": "telnyx",
            }
        )
        lifted, partitions = 0, list(range(keys.PARTITIONS))
        while partitions:
            replies = await self._scripts.run_all(
                [_lift_call(partition, before, event) for partition in partitions]
            )
            lifted += sum(int(reply[1]) for reply in replies)
            partitions = [p for p, reply in zip(partitions, replies, strict=True) if int(reply[2])]
        return lifted

    async def only_here(self, began: int) -> int:
        """How many opt-outs the look that began then did not have."""
        prefixes = [keys.prefix(partition) for partition in range(keys.PARTITIONS)]
        ours = await self._connection.commands([("ZCARD", f"{prefix}oo") for prefix in prefixes])
        listed = await self._connection.commands(
            [("ZCOUNT", f"{prefix}oo:listed", began, began) for prefix in prefixes]
        )
        return sum(map(int, ours)) - sum(map(int, listed))


def _lift_call(partition: int, before: int, event: str) -> Call:
    prefix = keys.prefix(partition)
    return Call(
        "lift_unlisted",
        {"listed": f"{prefix}oo:listed", "opt_outs": f"{prefix}oo", "audit": f"{prefix}audit"},
        {"prefix": prefix, "before": before, "most": _LIFTED_AT_ONCE, "event": event},
    )


def _load(saved: str | None) -> SyncState:
    if not saved:
        return SyncState()
    found = json.loads(saved)
    run = found["run"]
    if run is not None:
        run = Run(**{**run, "counts": Counts(**run["counts"])})
    return SyncState(run, found["last"], tuple(found["complete"]))
