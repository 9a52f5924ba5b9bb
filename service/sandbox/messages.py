"""The messages that were accepted, and their form in Telnyx's answers and webhooks."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from service.sandbox.bounded import MOST
from service.sandbox.errors import error_object
from service.sandbox.requests import SendRequest
from service.sandbox.scenarios import Kind, Outcome
from service.sandbox.store import Shelf, Store

PROFILE = "00000000-0000-4000-8000-000000000001"
ORGANIZATION = "00000000-0000-4000-8000-0000000000ff"
UNASKED_SENDER = "+18445550001"
"""Whom a phone writes to that was never written to."""
# US dollars for each part, of the size of Telnyx's own prices.
_RATE = Decimal("0.0025")
_CARRIER_FEE = Decimal("0.0015")
_QUEUE_LIFE = timedelta(hours=4)  # the depth of the account's queue (KB "rate limiting")
# A message that is read has none of the statuses of the schema for cancelled ones.
_READ_AS = {"scheduled": "queued", "cancelled": "expired"}
# What the schema of outbound messages says of SMS and MMS only.
_NOT_OF_WHATSAPP = ("type", "text", "subject", "media", "encoding", "parts", "num_chars")


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
    """An accepted message and what became of it so far; ``reports`` is for the inbox to show. ``group``
    is the id that the messages of a group MMS share, ``error`` the code of what went wrong, if it did."""

    request: SendRequest
    id: str = field(default_factory=lambda: str(uuid4()))
    group: str | None = None
    outcome: Outcome = field(default_factory=Outcome)
    status: str = "queued"
    arrived: bool = False
    created_at: str = field(default_factory=now)
    sent_at: str | None = None
    completed_at: str | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)
    error: str = "40008"

    def leave(self) -> None:
        """The carrier has it."""
        self.status, self.sent_at = "sent", now()

    def finish(self, status: str) -> None:
        self.status, self.completed_at = status, now()

    @property
    def is_whatsapp(self) -> bool:
        return self.request.kind is Kind.WHATSAPP

    def payload(self) -> dict[str, Any]:
        """``OutboundMessagePayload`` as things stand now."""
        found = {**self._of_all_kinds(), "wait_seconds": 0.0}
        if self.is_whatsapp:
            for name in _NOT_OF_WHATSAPP:
                del found[name]
        return found

    def accepted(self) -> dict[str, Any]:
        """The answer to the POST: ``OutboundMessagePayload`` or the ``data`` of ``WhatsappResponse``."""
        if not self.is_whatsapp:
            return self.payload()
        whole = self._of_all_kinds()
        names = ("record_type", "direction", "id", "organization_id", "messaging_profile_id")
        kept = {name: whole[name] for name in (*names, "from", "to", "received_at")}
        kept |= {"type": "WHATSAPP", "encoding": "utf-8", "wait_seconds": 0.0}
        return {**kept, "body": self.request.content}

    def cancelled(self) -> dict[str, Any]:
        """``OutboundMessagePayloadCancelled``."""
        found = self._of_all_kinds()
        found["to"] = [{**party, "status": self.status} for party in found["to"]]
        return found

    def _of_all_kinds(self) -> dict[str, Any]:
        request = self.request
        return {
            "id": self.id,
            "record_type": "message",
            "direction": "outbound",
            "type": "MMS" if request.is_mms else "SMS",
            "organization_id": ORGANIZATION,
            "messaging_profile_id": request.messaging_profile_id or PROFILE,
            "from": from_party(request.from_),
            "to": [self.party()],
            "cc": [to_party(number) for number in request.cc],
            "text": request.text,
            "subject": request.subject,
            "media": [_media(url) for url in request.media_urls],
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
            "webhook_url": request.webhook_url,
            "webhook_failover_url": request.webhook_failover_url,
        }

    def party(self) -> dict[str, str]:
        """An entry of ``to``."""
        status = _READ_AS.get(self.status, self.status)
        return {**to_party(self.request.to), "status": status}

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

    @property
    def is_charged(self) -> bool:
        """What never left is not."""
        return self.completed_at is not None and self.status not in {"sending_failed", "cancelled"}

    @property
    def is_failed(self) -> bool:
        return self.status in {"delivery_failed", "sending_failed"}

    def _cost(self) -> dict[str, Any]:
        if not self.is_charged:
            return {"cost": None, "cost_breakdown": None}
        parts = self.request.encoded.parts
        breakdown = {"carrier_fee": _money(_CARRIER_FEE * parts), "rate": _money(_RATE * parts)}
        return {"cost": _money((_CARRIER_FEE + _RATE) * parts), "cost_breakdown": breakdown}

    def _errors(self) -> list[dict[str, Any]]:
        if not self.is_failed:
            return []
        return [error_object(self.error, "The message could not be delivered.")]

    def _valid_until(self) -> str | None:
        if self.status != "queued":
            return None
        until = datetime.fromisoformat(self.created_at) + _QUEUE_LIFE
        return until.isoformat(timespec="milliseconds")


def group_payload(members: Sequence[Message]) -> dict[str, Any]:
    """A group MMS as one message to all; each member alone is the detail of one recipient."""
    first = members[0]
    charged = all(member.is_charged for member in members)
    parts = sum(member.request.encoded.parts for member in members)
    done = [member.completed_at for member in members]
    return {
        **first.payload(),
        "id": first.group,
        "to": [member.party() for member in members],
        "cc": [],
        "cost": _money((_CARRIER_FEE + _RATE) * parts) if charged else None,
        "cost_breakdown": None,
        "errors": [error for member in members for error in member.payload()["errors"]],
        "completed_at": None if None in done else max(filter(None, done)),
    }


def _money(amount: Decimal) -> dict[str, str]:
    return {"amount": str(amount), "currency": "USD"}


def _media(url: str) -> dict[str, str | int | None]:
    return {"url": url, "content_type": None, "sha256": None, "size": None}


class Messages:
    """All that was accepted, oldest first; beyond a bound the oldest are forgotten."""

    def __init__(self, most: int = MOST, store: Store | None = None) -> None:
        self._all = Shelf(store or Store(), "message", Message, most)
        self._by_number: dict[str, deque[Message]] = {}
        self._groups: dict[str, list[Message]] = {}
        for message in self._all.values():
            self._index(message)

    def add(
        self, request: SendRequest, outcome: Outcome | None = None, group: str | None = None
    ) -> Message:
        message = Message(request=request, outcome=outcome or Outcome(), group=group)
        if request.send_at is not None:
            message.status = "scheduled"
        self._index(message)
        forgotten = self._all.put(message.id, message)
        if forgotten is not None:
            self._forget(forgotten)
        return message

    def save(self, message: Message) -> None:
        """Write down what became of a message, unless it is forgotten."""
        if message.id in self._all:
            self._all.put(message.id, message)

    def get(self, id_: str) -> Message | None:
        return self._all.get(id_)

    def group(self, id_: str) -> list[Message]:
        """The messages of a group MMS, none for an unknown id."""
        return self._groups.get(id_, [])

    def of(self, number: str | None) -> Collection[Message]:
        found: Collection[Message] = self._all.values()
        return found if number is None else self._by_number.get(number, ())

    def newest(self, count: int) -> list[Message]:
        """At most ``count`` messages, oldest first."""
        newest = reversed(self._all.values())
        return [message for message, _ in zip(newest, range(count), strict=False)][::-1]

    def last_to(self, number: str) -> Message | None:
        found = self._by_number.get(number)
        return found[-1] if found else None

    def _index(self, message: Message) -> None:
        self._by_number.setdefault(message.request.to, deque()).append(message)
        if message.group is not None:
            self._groups.setdefault(message.group, []).append(message)

    def _forget(self, oldest: Message) -> None:
        same_number = self._by_number[oldest.request.to]
        same_number.popleft()
        if not same_number:
            del self._by_number[oldest.request.to]
        if oldest.group is not None:
            self._groups.pop(oldest.group, None)
