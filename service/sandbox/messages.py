"""The messages that were accepted, and their form in Telnyx's answers and webhooks."""

from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from service.sandbox.bounded import MOST
from service.sandbox.errors import error_object
from service.sandbox.requests import SendRequest

PROFILE = "00000000-0000-4000-8000-000000000001"
UNASKED_SENDER = "+18445550001"
"""Whom a phone writes to that was never written to."""
_ORGANIZATION = "00000000-0000-4000-8000-0000000000ff"
# US dollars for each part, of the size of Telnyx's own prices.
_RATE = Decimal("0.0025")
_CARRIER_FEE = Decimal("0.0015")
_QUEUE_LIFE = timedelta(hours=4)  # the depth of the account's queue (KB "rate limiting")


def now() -> str:
    """RFC 3339, UTC, as Telnyx writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def from_party(address: str) -> dict[str, str]:
    """One of the account's own senders."""
    line = "VoIP" if address.startswith("+") else ""
    return {"phone_number": address, "carrier": "TELNYX LLC", "line_type": line}


def to_party(number: str) -> dict[str, str]:
    return {"phone_number": number, "carrier": "SANDBOX WIRELESS", "line_type": "Wireless"}


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """An accepted message and what became of it so far; ``reports`` is for the inbox to show."""

    request: SendRequest
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "queued"
    arrived: bool = False
    created_at: str = field(default_factory=now)
    sent_at: str | None = None
    completed_at: str | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)

    def leave(self) -> None:
        """The carrier has it."""
        self.status, self.sent_at = "sent", now()

    def finish(self, status: str) -> None:
        self.status, self.completed_at = status, now()

    def payload(self) -> dict[str, Any]:
        """``OutboundMessagePayload`` as things stand now."""
        request = self.request
        return {
            "id": self.id,
            "record_type": "message",
            "direction": "outbound",
            "type": "SMS",
            "organization_id": _ORGANIZATION,
            "messaging_profile_id": request.messaging_profile_id or PROFILE,
            "from": from_party(request.from_),
            "to": [{**to_party(request.to), "status": self.status}],
            "cc": [],
            "text": request.text,
            "subject": None,
            "media": [],
            "encoding": request.encoded.name,
            "parts": request.encoded.parts,
            "num_chars": len(request.text),
            "smart_encoding_applied": False,
            "tags": [],
            "tcr_campaign_id": None,
            "tcr_campaign_registered": None,
            "tcr_campaign_billable": False,
            **self._cost(),
            "errors": self._errors(),
            "received_at": self.created_at,
            "sent_at": self.sent_at,
            "completed_at": self.completed_at,
            "valid_until": self._valid_until(),
            "wait_seconds": 0.0,
            "webhook_url": request.webhook_url,
            "webhook_failover_url": request.webhook_failover_url,
        }

    def listed(self) -> dict[str, Any]:
        """As ``GET /sandbox/messages`` lists it."""
        return {
            "id": self.id,
            "to": self.request.to,
            "from": self.request.from_,
            "kind": self.request.kind,
            "text": self.request.text,
            "status": self.status,
            "arrived": self.arrived,
            "created_at": self.created_at,
        }

    def _cost(self) -> dict[str, Any]:
        # What never left is not charged.
        if self.completed_at is None or self.status == "sending_failed":
            return {"cost": None, "cost_breakdown": None}
        parts = self.request.encoded.parts
        breakdown = {"carrier_fee": _money(_CARRIER_FEE * parts), "rate": _money(_RATE * parts)}
        return {"cost": _money((_CARRIER_FEE + _RATE) * parts), "cost_breakdown": breakdown}

    def _errors(self) -> list[dict[str, Any]]:
        if self.status not in {"delivery_failed", "sending_failed"}:
            return []
        return [error_object("40008", "The message could not be delivered.")]

    def _valid_until(self) -> str | None:
        if self.status != "queued":
            return None
        until = datetime.fromisoformat(self.created_at) + _QUEUE_LIFE
        return until.isoformat(timespec="milliseconds")


def _money(amount: Decimal) -> dict[str, str]:
    return {"amount": str(amount), "currency": "USD"}


class Messages:
    """All that was accepted, oldest first; beyond a bound the oldest are forgotten."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._all: OrderedDict[str, Message] = OrderedDict()
        self._by_number: dict[str, deque[Message]] = {}

    def add(self, request: SendRequest) -> Message:
        message = Message(request=request)
        self._all[message.id] = message
        self._by_number.setdefault(request.to, deque()).append(message)
        if len(self._all) > self._most:
            self._forget_oldest()
        return message

    def get(self, id_: str) -> Message | None:
        return self._all.get(id_)

    def of(self, number: str | None) -> Collection[Message]:
        return self._all.values() if number is None else self._by_number.get(number, ())

    def newest(self, count: int) -> list[Message]:
        """At most ``count`` messages, oldest first."""
        newest = reversed(self._all.values())
        return [message for message, _ in zip(newest, range(count), strict=False)][::-1]

    def last_to(self, number: str) -> Message | None:
        found = self._by_number.get(number)
        return found[-1] if found else None

    def _forget_oldest(self) -> None:
        _, oldest = self._all.popitem(last=False)
        same_number = self._by_number[oldest.request.to]
        same_number.popleft()
        if not same_number:
            del self._by_number[oldest.request.to]
