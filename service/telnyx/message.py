"""Telnyx's message object (``OutboundMessagePayload``), read leniently into a delivery report."""

import re
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.domain.verification import FAILED_FOR_CERTAIN, DeliveryStatus, Report
from service.telnyx.errors import fault_of, read_errors, to_domain

_MOST_PARTS = 10
# `expired` is in Telnyx's enum only: the message ran out of validity, so it failed.
_STATUSES = {
    "queued": DeliveryStatus.QUEUED,
    "sending": DeliveryStatus.SENDING,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "delivery_unconfirmed": DeliveryStatus.DELIVERY_UNCONFIRMED,
    "delivery_failed": DeliveryStatus.DELIVERY_FAILED,
    "sending_failed": DeliveryStatus.SENDING_FAILED,
    "expired": DeliveryStatus.DELIVERY_FAILED,
}
_MOST_CARRIER = 40


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _To(_Lenient):
    status: str | None = None
    carrier: str | None = None


class _Cost(_Lenient):
    amount: str | None = None
    currency: str | None = None


class Message(_Lenient):
    """The fields of a message that decisions need. The text is not among them, on purpose."""

    id: str = Field(max_length=64)
    to: list[_To] = Field(default_factory=list)
    cost: _Cost | None = None
    parts: object = None
    errors: list[object] | None = None
    wait_seconds: float | None = None
    completed_at: datetime | None = None
    sent_at: datetime | None = None

    @property
    def is_canceled(self) -> bool:
        """Whether it was scheduled and then canceled. Only the answer to DELETE knows the word
        ``cancelled``; what GET answers with knows ``expired``, and it never left."""
        ended = bool(self.to) and self.to[0].status in {"cancelled", "expired"}
        return ended and self.sent_at is None


def read_message(body: object) -> Message | None:
    """The message of an answer or payload; ``None`` if it is not one."""
    try:
        return Message.model_validate(body)
    except ValidationError:
        return None


def to_report(message: Message, *, event_id: str, at: int) -> Report | None:
    """What the message says of its delivery; ``None`` for a status that is not known."""
    status = _STATUSES.get(message.to[0].status or "") if message.to else None
    if status is None:
        return None
    errors = read_errors(message.errors) if message.errors else ()
    failed = status in FAILED_FOR_CERTAIN
    return Report(
        event_id=event_id,
        status=status,
        at=at,
        message_id=message.id,
        fault=fault_of(errors, synchronous=False) if failed else None,
        errors=to_domain(errors),
        cost=message.cost.amount if message.cost else None,
        currency=message.cost.currency if message.cost else None,
        carrier=_carrier(message.to[0].carrier),
        parts=_parts(message.parts),
    )


def _carrier(name: str | None) -> str | None:
    """A carrier's name in the form in which it is counted: lower case, no signs of its own, not long."""
    words = re.findall(r"[^\W_]+", (name or "").casefold())
    return " ".join(words)[:_MOST_CARRIER] or None


def _parts(told: object) -> int:
    """Of how many segments it was made, 1 to 10; one where Telnyx says nothing that can be."""
    return told if type(told) is int and 1 <= told <= _MOST_PARTS else 1


def milliseconds(instant: datetime) -> int:
    """Milliseconds since the epoch; Telnyx's times without a zone are UTC."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
