"""What the service answers, typed. A member or a word that a newer service adds is no error."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field


class Word(StrEnum):
    """Words of the service's; one that is not known here stays what it is, with the name ``UNKNOWN``."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = "UNKNOWN", value
        return word


class Status(Word):
    """What has become of a verification. ``UNDELIVERABLE`` is not the end: a late code may still be typed."""

    PENDING = "pending"
    APPROVED = "approved"
    CANCELED = "canceled"
    EXPIRED = "expired"
    LOCKED = "locked"
    UNDELIVERABLE = "undeliverable"


class NoticeStatus(Word):
    """What has become of a notice."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"
    CANCELED = "canceled"


class DeliveryStatus(Word):
    """What has become of one message."""

    SENDING = "sending"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    DELIVERY_UNCONFIRMED = "delivery_unconfirmed"
    DELIVERY_FAILED = "delivery_failed"
    SENDING_FAILED = "sending_failed"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"


class Answer(BaseModel):
    """Times are in UTC."""

    model_config = ConfigDict(frozen=True)


class TelnyxError(Answer):
    code: str
    title: str


class Cost(Answer):
    """``amount``: a decimal number."""

    amount: str
    currency: str | None


class Delivery(Answer):
    """One message with one code. ``reason``: why it was sent. ``proven``: its code was typed."""

    number: int
    sender: str
    kind: str
    status: DeliveryStatus
    reason: str
    message_id: str | None
    errors: list[TelnyxError]
    cost: Cost | None
    created_at: datetime
    updated_at: datetime
    proven: bool


class Verification(Answer):
    """``to`` is masked. Offer a resend from ``resend_after`` on. ``test``: of a test number, to which nothing
    was sent."""

    id: str
    status: Status
    to: str
    country: str
    purpose: str
    created_at: datetime
    expires_at: datetime
    resend_after: datetime
    attempts_remaining: int
    deliveries: list[Delivery]
    metadata: dict[str, str]
    test: bool = False


class Verdict(Answer):
    """Only ``approved`` logs anybody in. ``delivery``: the number of the one whose code was typed.
    ``proof``: a signed one (JWS), where the start gave a nonce."""

    id: str
    approved: bool
    status: Status
    attempts_remaining: int
    delivery: int | None
    proof: str | None = None
    test: bool = False


class Notice(Answer):
    """``to`` is masked; ``send_at`` is None for one that was sent at once."""

    id: str
    status: NoticeStatus
    event: str
    to: str
    country: str
    created_at: datetime
    send_at: datetime | None
    deliveries: list[Delivery]
    metadata: dict[str, str]


class OptOut(Answer):
    """``number`` is masked. ``source``: inbound (a STOP), telnyx or api."""

    number: str
    since: datetime
    source: str


class OptOuts(Answer):
    """A page."""

    opt_outs: list[OptOut]
    next_cursor: str | None

    @property
    def items(self) -> list[OptOut]:
        return self.opt_outs


class AuditEvent(Answer):
    """``sealed``: it stands in the hash chain. What else the event has, under its own names and those of the
    Elastic Common Schema, is in ``members``."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str
    at: datetime
    sealed: bool

    @property
    def members(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class AuditEvents(Answer):
    """A page, oldest first; a filter may leave it short or empty while ``next_cursor`` names another."""

    events: list[AuditEvent]
    next_cursor: str | None

    @property
    def items(self) -> list[AuditEvent]:
        return self.events


class Checkpoint(Answer):
    """Signed heads of the chains: by partition how many events, the last one's id, its link. ``losses`` and
    ``vouched``: what an operator had signed after a loss."""

    number: int
    at: int
    previous: str
    key: str
    heads: dict[str, tuple[int, str, str]]
    signature: str
    losses: list[tuple[int, int, int]] = []
    vouched: list[str] = []


class Checkpoints(Answer):
    """Oldest first. ``public_keys``: by the id of the master key, hexadecimal."""

    checkpoints: list[Checkpoint]
    public_keys: dict[str, str]


class Seconds(Answer):
    """Half took at most ``p50``, 95 of 100 at most ``p95``."""

    p50: float | None
    p95: float | None


class DeliveriesRow(Answer):
    """What became of a group's messages; what they were not grouped by is None."""

    app: str | None
    country: str | None
    sender: str | None
    carrier: str | None
    hour: datetime | None
    sent: int
    rejected: int
    delivered: int
    failed: int
    unconfirmed: int
    proven: int
    delivered_unproven: int
    failed_proven: int
    seconds_to_delivery: Seconds
    seconds_to_approval: Seconds
    cost: list[Cost]


class DeliveryStatistics(Answer):
    """``since``: the window's first hour. Rows of the most messages come first."""

    window: str
    since: datetime
    rows: list[DeliveriesRow]


class VerificationsRow(Answer):
    """What became of verifications started in an hour; ``fallbacks`` and ``blocked`` by reason or rule."""

    hour: datetime
    started: int
    accepted: int
    delivered: int
    approved: int
    expired: int
    locked: int
    canceled: int
    undeliverable: int
    fallbacks: dict[str, int]
    blocked: dict[str, int]
    seconds_to_approval: Seconds


class VerificationStatistics(Answer):
    """Oldest hour first; hours without any are left out."""

    window: str
    since: datetime
    rows: list[VerificationsRow]


class Route(Answer):
    """Countries (ISO 3166-1 alpha-2, or ``*``), and the senders to try there in order."""

    countries: list[str]
    plan: list[str]


class Limits(Answer):
    """Windows as ``count/seconds``; what is None is the configuration's."""

    recipient: list[str] | None = None
    client_ip: list[str] | None = None
    without_client_ip: list[str] | None = None
    prefix: list[str] | None = None
    country: list[str] | None = None
    app: list[str] | None = None
    keys: dict[str, list[str]] | None = None


class Definition(Answer):
    """What an app has of its own; what is None is the configuration's."""

    name: str | None = None
    routes: list[Route] | None = None
    senders: list[str] | None = None
    limits: Limits | None = None
    callback_url: str | None = None
    texts: dict[str, dict[str, str]] | None = None
    code_length: int | None = None
    ttl: int | None = None


class App(Answer):
    """``etag`` names this state: give it as ``if_match`` to change no other. ``test_numbers`` are masked."""

    app: str
    revision: int
    created_at: datetime | None
    updated_at: datetime | None
    definition: Definition
    test_numbers: list[str]
    etag: str | None = None


class Apps(Answer):
    """By name."""

    apps: list[App]


class ApiKey(Answer):
    """A key of an app; its secret cannot be read."""

    id: str
    app: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewApiKey(ApiKey):
    """``key`` is told this once; it does not show in the text form."""

    key: str = Field(repr=False)


class ApiKeys(Answer):
    """The oldest first."""

    keys: list[ApiKey]


class SigningKey(Answer):
    """An Ed25519 public key (RFC 8037)."""

    kty: str
    crv: str
    alg: str
    use: str
    kid: str
    x: str


class SigningKeys(Answer):
    """What proofs are checked with (RFC 7517)."""

    keys: list[SigningKey]


class ProblemType(Answer):
    """What the service says of a problem's slug."""

    slug: str
    status: int
    title: str
