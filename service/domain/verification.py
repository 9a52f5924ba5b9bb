"""A verification and its deliveries, folded from the facts that were recorded about them.

Rules for editors of this file:

* Facts are only ever added (a delivery begun, its outcome, its reports). What a delivery *is* follows
  from all its facts together, and no fold may look at the order in which they came: Telnyx gives
  no order, repeats itself, and a report may be there before the send was answered.
* Reports of one delivery form a lattice (``_RANK``); the highest report speaks for the delivery.
  ``delivered`` is above the failures because a failure is sometimes reported first and then corrected.
* All instants are milliseconds since the epoch, UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from operator import attrgetter

from service.domain.code import Alphabet
from service.domain.plan import Sender, SenderKind
from service.domain.pumping import Tracked
from service.domain.transaction import Transaction


class Status(StrEnum):
    """Where a verification stands. ``undeliverable`` sends nothing more, but a late message may
    still be typed until the code expires."""

    PENDING = "pending"
    APPROVED = "approved"
    CANCELED = "canceled"
    EXPIRED = "expired"
    LOCKED = "locked"
    UNDELIVERABLE = "undeliverable"


class DeliveryStatus(StrEnum):
    """Where a delivery stands: Telnyx's statuses, and ours before Telnyx has one."""

    SENDING = "sending"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    DELIVERY_UNCONFIRMED = "delivery_unconfirmed"
    DELIVERY_FAILED = "delivery_failed"
    SENDING_FAILED = "sending_failed"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"


FAILED_FOR_CERTAIN = frozenset(
    {DeliveryStatus.REJECTED, DeliveryStatus.DELIVERY_FAILED, DeliveryStatus.SENDING_FAILED}
)

_RANK = {
    DeliveryStatus.QUEUED: 1,
    DeliveryStatus.SENDING: 2,
    DeliveryStatus.SENT: 3,
    DeliveryStatus.DELIVERY_UNCONFIRMED: 4,
    DeliveryStatus.SENDING_FAILED: 5,
    DeliveryStatus.DELIVERY_FAILED: 6,
    DeliveryStatus.DELIVERED: 7,
}


class Reason(StrEnum):
    """Why a decision was made: part of the contract, in ``deliveries[].reason`` and the audit trail."""

    INITIAL = "initial"
    RESEND = "resend"
    SENDER_REJECTED = "sender_rejected"
    RECIPIENT_UNREACHABLE = "recipient_unreachable"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_BLOCKED = "provider_blocked"
    UNCERTAIN = "uncertain"
    DELIVERY_FAILED = "delivery_failed"
    DELIVERY_UNCONFIRMED = "delivery_unconfirmed"
    REPORT_TIMEOUT = "report_timeout"
    QUEUED_TOO_LONG = "queued_too_long"
    DELIVERED = "delivered"
    AWAITING_REPORT = "awaiting_report"
    SCHEDULED = "scheduled"
    PLAN_EXHAUSTED = "plan_exhausted"
    SPEND_LIMIT = "spend_limit"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    EXPIRED = "expired"
    APPROVED = "approved"
    CANCELED = "canceled"
    SUPERSEDED = "superseded"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    NUMBER_TYPE_NOT_ALLOWED = "number_type_not_allowed"
    SUSPECTED_FRAUD = "suspected_fraud"
    RATE_LIMITED = "rate_limited"
    TEST_NUMBER = "test_number"


class Fault(StrEnum):
    """Whose fault a refusal or a failed delivery is, as the decision table needs it."""

    SENDER = "sender"
    RECIPIENT = "recipient"
    OPTED_OUT = "opted_out"
    BLOCKED = "blocked"
    SPEND = "spend"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ProviderError:
    """One error as Telnyx gives it: its code, and its title. The detail is left out, for it may
    quote the number or the text."""

    code: str
    title: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Telnyx took the message. ``wait_seconds``: how long it says the message will queue."""

    at: int
    message_id: str
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """Telnyx refused the message: it does not exist."""

    at: int
    fault: Fault
    errors: tuple[ProviderError, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldBack(Refused):
    """Refused by this service itself, before any request: a spending cap, or a breaker. Another try may
    pass after ``retry_after`` milliseconds."""

    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request surely did not become a message (429, or no connection): worth one more try after
    ``retry_after`` milliseconds."""

    at: int
    retry_after: int
    errors: tuple[ProviderError, ...] = ()


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The request left and no usable answer came: the message may or may not exist."""

    at: int
    errors: tuple[ProviderError, ...] = ()


Outcome = Accepted | Refused | NotSent | Uncertain


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a webhook, or a reconciling GET, says of a message.

    ``event_id`` is Telnyx's id of the event, the same in every repetition. ``at`` is Telnyx's time.
    """

    event_id: str
    status: DeliveryStatus
    at: int
    message_id: str
    fault: Fault | None = None
    errors: tuple[ProviderError, ...] = ()
    cost: str | None = None
    currency: str | None = None
    carrier: str | None = None
    parts: int = 1

    @property
    def is_final(self) -> bool:
        """Whether nothing is to follow, but for a correction."""
        return _RANK.get(self.status, 0) >= _RANK[DeliveryStatus.DELIVERY_UNCONFIRMED]

    @property
    def rank(self) -> tuple[int, int, str]:
        """Position in the lattice; time and id only break ties, so that every order ends alike."""
        return (_RANK.get(self.status, 0), self.at, self.event_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message carrying one code through one sender."""

    number: int
    sender: str
    kind: SenderKind
    reason: Reason
    begun_at: int
    outcome: Outcome | None = None
    reports: tuple[Report, ...] = ()
    reconciled_at: int | None = None
    proven: bool = False
    probe: str | None = None
    """The route whose breaker was open, and let this message through to see what becomes of it."""

    @property
    def report(self) -> Report | None:
        """The report that speaks for the delivery."""
        return max(self.reports, key=lambda report: report.rank, default=None)

    @property
    def status(self) -> DeliveryStatus:
        if self.report is not None:
            return self.report.status
        match self.outcome:
            case None:
                return DeliveryStatus.SENDING
            case Accepted():
                return DeliveryStatus.QUEUED
            case Uncertain():
                return DeliveryStatus.UNCERTAIN
            case Refused() | NotSent():
                return DeliveryStatus.REJECTED

    @property
    def fault(self) -> Fault | None:
        """Whose fault it is, for a delivery that failed for certain."""
        if self.report is not None:
            return self.report.fault
        return self.outcome.fault if isinstance(self.outcome, Refused) else None

    @property
    def errors(self) -> tuple[ProviderError, ...]:
        if self.report is not None:
            return self.report.errors
        return (
            ()
            if self.outcome is None or isinstance(self.outcome, Accepted)
            else self.outcome.errors
        )

    @property
    def message_id(self) -> str | None:
        if isinstance(self.outcome, Accepted):
            return self.outcome.message_id
        return self.report.message_id if self.report is not None else None

    @property
    def accepted_at(self) -> int:
        """Since when Telnyx has the message; the time it was begun where that is not known."""
        return self.outcome.at if isinstance(self.outcome, Accepted) else self.begun_at

    @property
    def updated_at(self) -> int:
        instants = [self.begun_at, self.reconciled_at or 0, *(report.at for report in self.reports)]
        if self.outcome is not None:
            instants.append(self.outcome.at)
        return max(instants)

    @property
    def may_exist(self) -> bool:
        """Whether a message may have come of it (and so have been paid for)."""
        return bool(self.reports) or not isinstance(self.outcome, Refused | NotSent)


@dataclass(frozen=True, slots=True)
class Notice:
    """A security notice: its text, and when it is to leave (milliseconds; 0: at once). What it tells
    of stands in the record's ``purpose``."""

    text: str
    send_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One proof of control over one phone number. The number itself is not in here: only its
    look-up id, its mask and its sealed form.

    With a ``notice`` it carries that instead of codes, and nothing can be proven: a notice goes the
    same way through plan, guard, opt-outs, reports and audit, so it is the same record.

    ``withheld``: with uniform answers, why nothing is sent any more (or ever was) while it is pending.
    ``test``: of a test number, whose code its app fixed: right from the start, and never sent."""

    id: str
    app: str
    purpose: str
    country: str
    masked: str
    recipient_id: str
    sealed: str
    key_id: str
    plan: tuple[Sender, ...]
    created_at: int
    expires_at: int
    attempts_allowed: int
    code_length: int
    alphabet: Alphabet = Alphabet.DIGITS
    locale: str | None = None
    host: str | None = None
    app_hash: str | None = None
    transaction: Transaction | None = None
    bound: str | None = None
    """What a code's digest is bound to, and verify has to repeat: the transaction's fingerprint."""
    nonce: str | None = None
    notice: Notice | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[str, ...] = ()
    callback_url: str | None = None
    test: bool = False
    tracked: Tracked | None = None
    price: int | None = None
    """What a message was expected to cost at the start, in micros; ``None`` without a cap in money."""
    chosen: bool = False
    """The caller, or the person's own history, chose the first sender: no evidence of how senders compare."""
    status: Status = Status.PENDING
    closed_reason: Reason | None = None
    attempts_used: int = 0
    last_attempt_at: int = 0
    resends_asked: int = 0
    resend_after: int = 0
    opted_out: bool = False
    withheld: Reason | None = None
    deliveries: tuple[Delivery, ...] = ()
    rev: int = 0

    @property
    def attempts_remaining(self) -> int:
        return max(self.attempts_allowed - self.attempts_used, 0)

    @property
    def silence(self) -> Reason | None:
        """Why nothing is sent while it is pending."""
        return self.withheld or (Reason.TEST_NUMBER if self.test else None)

    @property
    def send_at(self) -> int:
        """Before this instant nothing can arrive (milliseconds; 0 for what leaves at once)."""
        return self.notice.send_at if self.notice is not None else 0

    @property
    def scheduled(self) -> Delivery | None:
        """The delivery that Telnyx holds until ``send_at``, as far as is known."""
        held = [d for d in self.deliveries if isinstance(d.outcome, Accepted) and not d.reports]
        return held[-1] if self.send_at and held else None

    @property
    def messages(self) -> int:
        """How many messages may have been made: what the delivery budget counts."""
        return sum(delivery.may_exist for delivery in self.deliveries)

    @property
    def resend_pending(self) -> bool:
        done = sum(delivery.reason is Reason.RESEND for delivery in self.deliveries)
        return self.resends_asked > done

    @property
    def round(self) -> Sequence[Delivery]:
        """The deliveries since the last thing that a person asked for: the start or a resend."""
        asked = [d.number for d in self.deliveries if d.reason in (Reason.INITIAL, Reason.RESEND)]
        first = asked[-1] if asked else 1
        return [d for d in self.deliveries if d.number >= first]

    def status_at(self, now: int) -> Status:
        """The status to show: an expiry that no worker has recorded yet counts."""
        expired = self.status is Status.PENDING and now >= self.expires_at
        return Status.EXPIRED if expired else self.status

    def with_outcome(self, number: int, outcome: Outcome) -> "Verification":
        return self._with(number, outcome=outcome)

    def with_reports(self, number: int, *reports: Report) -> "Verification":
        """With further reports of a delivery; an event that is known already changes nothing."""
        known = {report.event_id: report for report in self.deliveries[number - 1].reports}
        merged = {report.event_id: report for report in reports} | known
        ordered = tuple(sorted(merged.values(), key=lambda report: report.event_id))
        return self._with(number, reports=ordered)

    def with_reconciled(self, number: int, at: int, *reports: Report) -> "Verification":
        return self.with_reports(number, *reports)._with(number, reconciled_at=at)

    def with_delivery(self, delivery: Delivery) -> "Verification":
        return self.changed(deliveries=(*self.deliveries, delivery))

    def changed(self, **members: object) -> "Verification":
        """``dataclasses.replace`` in a quarter of its time, which a start takes often."""
        copy = object.__new__(Verification)
        for put, value in zip(_PUT, _values_of(self), strict=True):
            put(copy, value)
        for name, value in members.items():
            object.__setattr__(copy, name, value)
        return copy

    def _with(self, number: int, **changes: object) -> "Verification":
        deliveries = list(self.deliveries)
        deliveries[number - 1] = replace(deliveries[number - 1], **changes)  # type: ignore[arg-type]
        return self.changed(deliveries=tuple(deliveries))


_NAMES = tuple(member.name for member in fields(Verification))
_PUT = tuple(getattr(Verification, name).__set__ for name in _NAMES)
_values_of = attrgetter(*_NAMES)
