"""The messages that were accepted, and their form in Telnyx's answers and webhooks."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from service.sandbox.errors import error_object
from service.sandbox.requests import SendRequest

_MOST = 100_000
_ORGANIZATION = "00000000-0000-4000-8000-0000000000ff"
_PROFILE = "00000000-0000-4000-8000-000000000001"
_COST = "0.0040"
_FAILURES = {"delivery_failed", "sending_failed"}


def now() -> str:
    """RFC 3339, UTC, as Telnyx writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(slots=True, kw_only=True)
class Message:
    """An accepted message and what became of it so far."""

    request: SendRequest
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "queued"
    arrived: bool = False
    created_at: str = field(default_factory=now)
    sent_at: str | None = None
    completed_at: str | None = None

    def payload(self, status: str | None = None) -> dict[str, Any]:
        """``OutboundMessagePayload``; a report may say another ``status`` than GET shows."""
        shown = status or self.status
        request = self.request
        errors = []
        if shown in _FAILURES:
            errors.append(error_object("40008", "The message could not be delivered."))
        return {
            "id": self.id,
            "record_type": "message",
            "direction": "outbound",
            "type": "SMS",
            "organization_id": _ORGANIZATION,
            "messaging_profile_id": request.messaging_profile_id or _PROFILE,
            "from": {"phone_number": request.from_, "carrier": "Telnyx", "line_type": "Wireless"},
            "to": [
                {
                    "phone_number": request.to,
                    "status": shown,
                    "carrier": "SANDBOX WIRELESS",
                    "line_type": "Wireless",
                }
            ],
            "cc": [],
            "text": request.text,
            "media": [],
            "encoding": request.encoded.name,
            "parts": request.encoded.parts,
            "tags": [],
            "cost": {"amount": _COST, "currency": "USD"} if self.completed_at else None,
            "cost_breakdown": None,
            "errors": errors,
            "received_at": self.created_at,
            "sent_at": self.sent_at,
            "completed_at": self.completed_at,
            "valid_until": None,
            "wait_seconds": 0.0,
            "webhook_url": (request.webhook_urls or (None,))[0],
            "webhook_failover_url": (request.webhook_urls[1:] or (None,))[0],
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


class Messages:
    """All that was accepted, oldest first; beyond a bound the oldest are forgotten."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Message] = OrderedDict()
        self._by_number: dict[str, list[Message]] = {}

    def add(self, request: SendRequest) -> Message:
        message = Message(request=request)
        self._all[message.id] = message
        self._by_number.setdefault(request.to, []).append(message)
        if len(self._all) > _MOST:
            _, oldest = self._all.popitem(last=False)
            self._by_number[oldest.request.to].remove(oldest)
        return message

    def get(self, id_: str) -> Message | None:
        return self._all.get(id_)

    def of(self, number: str | None) -> list[Message]:
        return list(self._all.values()) if number is None else self._by_number.get(number, [])
