"""Verifications in Redis: created, claimed, advanced and closed, one script for each transition."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.audit import Event
from service.domain.code import SALT_BYTES, Alphabet
from service.domain.guard import Exceeded, Limit
from service.domain.guess_budget import GuessBudget
from service.domain.opt_out_scope import of_plan
from service.domain.plan import Sender
from service.domain.verification import Delivery, Outcome, Reason, Report, Status, Verification
from service.store import keys
from service.store.connection import Connection
from service.store.keys import RecipientKeys, VerificationKeys
from service.store.migrations.state import MigrationStore
from service.store.records import (
    dump,
    dump_base,
    dump_delivery,
    dump_outcome,
    dump_report,
    load,
    pairs,
)
from service.store.scripts import Names, Reply, Scripts

MOST_REPORTS = 16
_DUE_BATCH = 32
MOST_CLIENTS = 16
KEEP_CLIENTS = 90 * 24 * 3600 * 1000
"""How long (milliseconds) a client stays known after its last approval."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A verification under a lease: what its holder needs to advance it."""

    verification: Verification
    lease: str
    salt: bytes

    def on(self, verification: Verification) -> "Claim":
        """The same lease, over what the holder itself made of the verification."""
        return Claim(verification, self.lease, self.salt)

    def after(self, begin: "Begin") -> "Claim":
        """The same lease, over a verification whose delivery was begun."""
        v = self.verification.with_delivery(begin.delivery)
        return self.on(v.changed(resend_after=begin.resend_after, rev=v.rev + 1))


@dataclass(frozen=True, slots=True)
class Begin:
    """What is recorded of a delivery before it is sent, and the ``routes`` that no breaker may hold
    back. A resend may be asked for after ``resend_after`` (milliseconds)."""

    delivery: Delivery
    event: Event
    resend_after: int
    digest: bytes = b""
    routes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A counted attempt: what is needed to digest the typed code."""

    verification: Verification
    salt: bytes


@dataclass(frozen=True, slots=True)
class OptedOut:
    """The recipient is opted out: nothing was created."""


@dataclass(frozen=True, slots=True)
class Exists:
    """The id is there already: the first try of the same idempotent start created it."""


@dataclass(frozen=True, slots=True)
class Tripped:
    """A route's breaker is open until then (milliseconds): nothing was begun."""

    route: str
    until: int


class VerificationStore:
    """Reads and transitions. ``lease`` is in milliseconds, ``retention`` (how long a record outlives
    its code) too. ``uniform``: a refusal by what is known of a recipient is answered as if it were none."""

    def __init__(
        self,
        connection: Connection,
        scripts: Scripts,
        senders: Mapping[str, Sender],
        *,
        lease: int,
        retention: int,
        budget: GuessBudget = GuessBudget(),  # noqa: B008 - frozen
        uniform: bool = False,
        keep_sender: int = 0,
        migrations: MigrationStore | None = None,
    ) -> None:
        """``keep_sender``: how long (milliseconds) it is remembered through whom a person's code came.
        ``migrations``: of whoever follows the upgrade in this process."""
        self._connection = connection
        self._scripts = scripts
        self._senders = senders
        self._lease = lease
        self._retention = retention
        self._uniform = "1" if uniform else ""
        self._migrations = migrations or MigrationStore(connection, scripts)
        self._keep_sender = keep_sender
        limit = budget.limit
        self._budget = f"{limit.count}/{limit.seconds}/{budget.reserve}"

    async def get(self, id_: str) -> Verification | None:
        if not keys.is_id(id_):
            return None
        flat = await self._connection.command("HGETALL", VerificationKeys(id_).record)
        return load(id_, pairs(flat), self._senders) if flat else None

    async def create(
        self,
        v: Verification,
        salt: bytes,
        windows: Sequence[Limit],
        *,
        limit_app: str = "",
        digest: bytes = b"",
        event: Event,
        refused: Mapping[str, object] | None = None,
        keep: int = 0,
        first: Begin | None = None,
    ) -> Claim | Exceeded | OptedOut | Exists:
        """Create, and hold the lease at once: the creator is the first to advance it. The record lives at
        least ``keep`` milliseconds. ``event`` is that of its creation; ``refused`` has what ``guard.blocked``
        says instead of what is withheld from the start. The ``first`` delivery is begun in the same step: it
        is in the claim's verification then, and only then may be sent. ``limit_app``: the app that counts the
        recipient's limit for itself. ``digest``: of a test number's code."""
        k, of_recipient = VerificationKeys(v.id), RecipientKeys(v.recipient_id)
        short = await self._migrations.is_done()
        lease, (base, more) = secrets.token_hex(8), dump_base(v, short=short)
        since = first.delivery.begun_at if first else v.created_at
        reply = await self._scripts.run(
            "create",
            {
                "record": k.record,
                "codes": k.codes,
                "due": k.due,
                "audit": k.audit,
                "active": of_recipient.active,
                # A notice takes the place of nothing.
                "pending": of_recipient.pending(v.app, v.id if v.notice else v.purpose),
                "opt_out": of_recipient.opt_out,
                "limit": of_recipient.limit(limit_app),
                "guesses": of_recipient.guesses(v.app),
                "known": of_recipient.known(v.app),
                "breakers": f"{k.prefix}breakers",
            },
            {
                "id": v.id,
                "prefix": k.prefix,
                "now": v.created_at,
                "base": base,
                "more": more,
                "scopes": " ".join(of_plan(v.app, v.plan)),
                "salt": _pack(salt, short=short),
                "app": v.app,
                "attempts": v.attempts_allowed,
                "expires_at": v.expires_at,
                "ttl": v.expires_at - v.created_at,
                "retention": v.expires_at - v.created_at + max(self._retention, keep),
                "resend_after": first.resend_after if first else v.resend_after,
                "lease": lease,
                "lease_until": since + self._lease,
                "windows": write_windows(windows),
                "budget": "" if v.notice else self._budget,
                "clients": ",".join(v.clients),
                "event": dump(event),
                "callback": v.callback_url or "",
                "uniform": "" if v.notice else self._uniform,
                "withheld": v.withheld or "",
                "refused": dump(refused or {}),
                "delivery": dump_delivery(first.delivery, since=v.created_at if short else None)
                if first
                else "",
                "digest": _pack(first.digest if first else digest, short=short),
                "routes": " ".join(first.routes) if first else "",
                "begun_event": dump(first.event) if first else "",
            },
        )
        match reply[0]:
            case "opted_out":
                return OptedOut()
            case "exists":
                return Exists()
            case "over_budget":
                return exceeded("wrong_codes", reply)
            case "limited":
                return exceeded("recipient", reply)
            case "withheld":
                return Claim(v.changed(rev=1, withheld=Reason(reply[1])), lease, salt)
            case "begun" if first is not None:
                return Claim(v.changed(rev=1), lease, salt).after(first)
            case _:
                return Claim(v.changed(rev=1), lease, salt)

    async def claim(self, id_: str, now: int) -> Claim | None:
        """Take the lease; ``None`` if it is held, or there is nothing left to do."""
        k = VerificationKeys(id_)
        lease = secrets.token_hex(8)
        reply = await self._scripts.run(
            "claim",
            {"record": k.record, "codes": k.codes, "due": k.due},
            {"id": id_, "now": now, "lease": lease, "lease_until": now + self._lease},
        )
        if reply[0] != "ok":
            return None
        v = load(id_, pairs(reply[2].split("\0")), self._senders)
        return Claim(v, lease, _unpack_salt(reply[1]))

    async def begin_delivery(self, claim: Claim, begin: Begin) -> str | Tripped:
        """Record the delivery before it is sent: ``ok``, ``lost``, ``changed`` or ``opted_out``; or the
        first of the routes whose breaker is open. Only ``ok`` allows the POST."""
        v, k = claim.verification, VerificationKeys(claim.verification.id)
        reply = await self._scripts.run(
            "begin_delivery",
            {
                "record": k.record,
                "codes": k.codes,
                "due": k.due,
                "opt_out": RecipientKeys(v.recipient_id).opt_out,
                "breakers": f"{k.prefix}breakers",
                "audit": k.audit,
            },
            {
                "id": v.id,
                "routes": " ".join(begin.routes),
                "lease": claim.lease,
                "lease_until": begin.delivery.begun_at + self._lease,
                "rev": v.rev,
                "number": begin.delivery.number,
                "delivery": dump_delivery(begin.delivery, since=self._since(v)),
                "digest": _pack(begin.digest, short=self._migrations.was_done),
                "resend_after": begin.resend_after,
                "event": dump(begin.event),
            },
        )
        return Tripped(reply[1], int(reply[2])) if reply[0] == "tripped" else reply[0]

    async def record_outcome(
        self, claim: Claim, number: int, outcome: Outcome, due_at: int | None, event: Event
    ) -> str:
        """Record what became of a POST: ``ok``, ``changed`` or ``lost``. With ``due_at`` the lease is
        given back, unless new facts came in (``changed``)."""
        told = dump_outcome(outcome, since=self._since(claim.verification))
        return await self._record(claim, f"o{number}", told, due_at, event)

    async def record_reconciled(self, claim: Claim, number: int, at: int, event: Event) -> str:
        """Record that Telnyx was asked what became of a delivery; as ``record_outcome``."""
        return await self._record(claim, f"g{number}", str(at), None, event)

    async def withhold(self, claim: Claim, reason: Reason, event: Event) -> str:
        """Record that nothing is sent any more, and wait for the end; as ``record_outcome``."""
        until = claim.verification.expires_at
        return await self._record(claim, "withheld", reason, until, event)

    async def _record(
        self, claim: Claim, field: str, value: str, due_at: int | None, event: Event
    ) -> str:
        k = VerificationKeys(claim.verification.id)
        reply = await self._scripts.run(
            "record_outcome",
            {"record": k.record, "due": k.due, "audit": k.audit},
            {
                "id": k.id,
                "lease": claim.lease,
                "rev": claim.verification.rev,
                "field": field,
                "value": value,
                "due_at": "" if due_at is None else due_at,
                "event": dump(event),
            },
        )
        return reply[0]

    async def wait(self, claim: Claim, due_at: int) -> str:
        """Give the lease back until ``due_at``: ``ok``, ``changed`` or ``lost``."""
        k = VerificationKeys(claim.verification.id)
        args: Names = {
            "id": k.id,
            "lease": claim.lease,
            "rev": claim.verification.rev,
            "due_at": due_at,
        }
        reply = await self._scripts.run("wait", {"record": k.record, "due": k.due}, args)
        return reply[0]

    async def close(
        self, claim: Claim, status: Status, reason: Reason, now: int, event: Event
    ) -> str:
        """End it as decided: ``ok``, ``changed`` or ``lost``."""
        v, k = claim.verification, VerificationKeys(claim.verification.id)
        reply = await self._scripts.run(
            "close",
            _closing_keys(k, v.recipient_id),
            {
                "id": v.id,
                "lease": claim.lease,
                "rev": v.rev,
                "now": now,
                "status": status,
                "reason": reason,
                "event": dump(event),
            },
        )
        return reply[0]

    async def cancel(self, v: Verification, app: str, now: int, event: Event) -> Reply:
        """Cancel for the app: ``ok``, ``unknown`` or ``closed`` with the status."""
        return await self._scripts.run(
            "cancel",
            _closing_keys(VerificationKeys(v.id), v.recipient_id),
            {"id": v.id, "app": app, "now": now, "event": dump(event)},
        )

    async def ask_resend(
        self,
        id_: str,
        app: str,
        now: int,
        resend_after: int,
        event: Event,
        *,
        withheld: Reason | None = None,
    ) -> Reply:
        """Record the wish: ``due``, ``leased``, ``unknown``, ``closed`` status or ``too_soon`` wait.
        ``withheld``: why it is not fulfilled."""
        k = VerificationKeys(id_)
        return await self._scripts.run(
            "ask_resend",
            {"record": k.record, "due": k.due, "audit": k.audit},
            {
                "id": id_,
                "app": app,
                "now": now,
                "resend_after": resend_after,
                "event": dump(event),
                "withheld": withheld or "",
            },
        )

    async def record_report(
        self, id_: str, number: int, report: Report, now: int, event: Event
    ) -> str:
        """Add a report: ``due``, ``leased``, ``closed``, ``repeated`` or ``unknown``."""
        told, more = dump_report(report, short=self._migrations.was_done)
        k = VerificationKeys(id_)
        reply = await self._scripts.run(
            "record_report",
            {"record": k.record, "due": k.due, "audit": k.audit},
            {
                "id": id_,
                "now": now,
                "number": number,
                "event_id": report.event_id,
                "report": told,
                "more": more,
                "most": MOST_REPORTS,
                "event": dump(event),
            },
        )
        return reply[0]

    async def count_attempt(
        self,
        id_: str,
        app: str,
        now: int,
        grace_until: int,
        *,
        alphabets: Sequence[Alphabet],
        bound: str | None,
        event: Event,
    ) -> Attempt | Exceeded | Reply:
        """Count before comparing; otherwise ``unknown``, ``closed`` status, ``exhausted``, ``unreadable``
        alphabet (none of those that can have made the code) or ``mismatch`` (it is ``bound`` to something
        else)."""
        k = VerificationKeys(id_)
        reply = await self._scripts.run(
            "count_attempt",
            {"record": k.record, "codes": k.codes, "due": k.due, "audit": k.audit},
            {
                "id": id_,
                "prefix": k.prefix,
                "app": app,
                "now": now,
                "grace_until": grace_until,
                "alphabets": " ".join(alphabets),
                "bound": bound or "",
                "budget": self._budget,
                "event": dump(event),
                "uniform": self._uniform,
            },
        )
        if reply[0] == "limited":
            return exceeded("wrong_codes", reply)
        if reply[0] != "ok":
            return reply
        v = load(id_, pairs(reply[2].split("\0")), self._senders)
        return Attempt(v, _unpack_salt(reply[1]))

    async def settle_attempt(self, v: Verification, now: int, digest: bytes, event: Event) -> Reply:
        """Compare: ``approved`` delivery remaining, ``rejected`` remaining, ``locked`` or ``closed``
        status. ``v``: as it was read when the attempt was counted. ``event``: that of an approval."""
        of_recipient = RecipientKeys(v.recipient_id)
        return await self._scripts.run(
            "settle_attempt",
            _closing_keys(VerificationKeys(v.id), v.recipient_id)
            | {
                "guesses": of_recipient.guesses(v.app),
                "known": of_recipient.known(v.app),
                "last_sender": of_recipient.last_sender(v.app),
            },
            {
                "id": v.id,
                "now": now,
                "digest": digest.hex(),
                "packed": _pack(digest, short=True),
                "guess": f"{v.id}:{v.attempts_used}",
                "clients": ",".join(v.clients),
                "most_clients": MOST_CLIENTS,
                "keep_clients": KEEP_CLIENTS,
                "keep_sender": self._keep_sender,
                "budget": self._budget,
                "event": dump(event),
                "uniform": self._uniform,
            },
        )

    def _since(self, v: Verification) -> int | None:
        """Where the short form begins to count; ``None`` as long as the long one may be needed."""
        return v.created_at if self._migrations.was_done else None

    async def due(self, now: int) -> list[tuple[str, int]]:
        """Ids that are due in any partition, with their deadlines, in one round trip."""
        batch = [
            (
                "ZRANGE",
                f"{keys.prefix(p)}due",
                "-inf",
                now,
                "BYSCORE",
                "LIMIT",
                0,
                _DUE_BATCH,
                "WITHSCORES",
            )
            for p in range(keys.PARTITIONS)
        ]
        found = []
        for flat in await self._connection.commands(batch):
            found += [(str(id_), int(float(at))) for id_, at in pairs(flat).items()]
        return found


def exceeded(limit: str, reply: Reply) -> Exceeded:
    """Read a script's ``limited count seconds wait``."""
    return Exceeded(limit, Limit(int(reply[1]), int(reply[2])), int(reply[3]))


def _pack(raw: bytes, *, short: bool) -> str:
    return base64.b64encode(raw).decode().rstrip("=") if short else raw.hex()


def _unpack_salt(text: str) -> bytes:
    is_hex = len(text) == 2 * SALT_BYTES
    return bytes.fromhex(text) if is_hex else base64.b64decode(f"{text}==")


def write_windows(windows: Sequence[Limit]) -> str:
    """As ``include/window.lua`` reads them."""
    return ",".join(f"{window.count}/{window.seconds}" for window in windows)


def _closing_keys(k: VerificationKeys, recipient_id: str) -> dict[str, str]:
    return {
        "record": k.record,
        "codes": k.codes,
        "due": k.due,
        "active": RecipientKeys(recipient_id).active,
        "audit": k.audit,
    }
