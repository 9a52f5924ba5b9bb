"""What a phone writes back, as Telnyx reports it."""

import re
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from service.sandbox.encoding import encode
from service.sandbox.messages import PROFILE, UNASKED_SENDER, from_party, now, to_party

# Telnyx's own lists (KB "SMS opt-in/out"): the whole message, whatever its case and blanks.
_AUTORESPONSES = {
    "STOP": {"STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"},
    "START": {"START", "UNSTOP"},
    "HELP": {"HELP", "INFO"},
}
_BLANKS = re.compile(r"\s+")


def autoresponse(text: str) -> str | None:
    """``autoresponse_type``: STOP, START, HELP or nothing."""
    words = _BLANKS.sub(" ", text).strip().upper()
    return next((kind for kind, listed in _AUTORESPONSES.items() if words in listed), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A text that a phone wrote."""

    from_: str
    text: str
    to: str = UNASKED_SENDER
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
            "messaging_profile_id": PROFILE,
            "from": {**to_party(self.from_), "status": "received"},
            "to": [{**from_party(self.to), "status": "webhook_delivered"}],
            "cc": [],
            "text": self.text,
            "media": [],
            "encoding": encoded.name,
            "parts": encoded.parts,
            "num_chars": len(self.text),
            "tags": [],
            "cost": None,
            "errors": [],
            "received_at": self.created_at,
            "sent_at": None,
            "completed_at": None,
            "valid_until": None,
            "autoresponse_type": autoresponse(self.text),
        }
