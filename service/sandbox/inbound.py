"""What a phone writes back, as Telnyx reports it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from service.sandbox.encoding import MAX_PARTS, encode
from service.sandbox.messages import PROFILE, UNASKED_SENDER, from_party, now, to_party

# Telnyx's own lists (KB "SMS opt-in/out"): the whole message, whatever its case and blanks.
_AUTORESPONSES = {
    "STOP": {"STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"},
    "START": {"START", "UNSTOP"},
    "HELP": {"HELP", "INFO"},
}


def built_in(words: str) -> str | None:
    """``autoresponse_type`` of Telnyx's own lists: STOP, START, HELP or nothing. ``words`` are in capitals,
    with single blanks."""
    return next((kind for kind, listed in _AUTORESPONSES.items() if words in listed), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A text that a phone wrote."""

    from_: str
    text: str
    to: str = UNASKED_SENDER
    messaging_profile_id: str = PROFILE
    autoresponse_type: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: str = field(default_factory=now)

    def payload(self) -> dict[str, Any]:
        """``InboundMessagePayload``; ``autoresponse_type`` is in Telnyx's guide, not in its schema."""
        encoded = encode(self.text)
        return {
            "id": self.id,
            "record_type": "message",
            "direction": "inbound",
            "type": "SMS",
            "messaging_profile_id": self.messaging_profile_id,
            "from": {**to_party(self.from_), "status": "received"},
            "to": [{**from_party(self.to), "status": "webhook_delivered"}],
            "cc": [],
            "text": self.text,
            "media": [],
            "encoding": encoded.name,
            "parts": min(encoded.parts, MAX_PARTS),
            "num_chars": len(self.text),
            "tags": [],
            "cost": None,
            "errors": [],
            "received_at": self.created_at,
            "sent_at": None,
            "completed_at": None,
            "valid_until": None,
            "autoresponse_type": self.autoresponse_type,
        }
