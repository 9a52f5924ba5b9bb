"""What becomes of an accepted message, and what a phone writes back."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from service.sandbox.config import SandboxConfig
from service.sandbox.messages import Message, Messages, now
from service.sandbox.scenarios import Answer, Outcome, Scenarios
from service.sandbox.webhooks import Courier, event

# Telnyx's own list: the whole message, whatever its case and blanks. REVOKE and OPT OUT are not on it.
_STOP = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"}
_START = {"START", "UNSTOP"}
_HELP = {"HELP", "INFO"}
_LATE = 3


@dataclass(slots=True)
class Outage:
    """``mode``: none, down or slow, until the event loop's time ``until``."""

    mode: str = "none"
    until: float = 0.0

    @property
    def current(self) -> str:
        return self.mode if asyncio.get_running_loop().time() < self.until else "none"


@dataclass(slots=True)
class Network:
    """The state of the sandbox."""

    config: SandboxConfig
    courier: Courier
    messages: Messages = field(default_factory=Messages)
    scenarios: Scenarios = field(default_factory=Scenarios)
    outage: Outage = field(default_factory=Outage)
    blocked: set[str] = field(default_factory=set)

    def accept(self, message: Message, outcome: Outcome) -> None:
        """Let an accepted message go its way."""
        self.courier.spawn(self._travel(message, outcome))

    def set_outage(self, mode: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self.outage = Outage(mode, loop.time() + seconds)
        if mode == "down":
            self.courier.resume.clear()
            loop.call_later(seconds, self._end_outage)
        else:
            self.courier.resume.set()

    def inbound(self, from_: str, to: str | None, text: str) -> str | None:
        """A phone writes; gives the message's id, or ``None`` if the profile has no webhook URL."""
        word = "".join(text.upper().split())
        response = "STOP" if word in _STOP else "START" if word in _START else None
        if response == "STOP":
            self.blocked.add(from_)
        elif response == "START":
            self.blocked.discard(from_)
        if self.config.profile_webhook_url is None:
            return None
        payload = self._inbound_payload(from_, to, text)
        payload["autoresponse_type"] = response or ("HELP" if word in _HELP else None)
        work = self.courier.deliver(
            event("message.received", payload), [self.config.profile_webhook_url]
        )
        self.courier.spawn(work)
        return str(payload["id"])

    def _end_outage(self) -> None:
        if self.outage.current == "none":
            self.courier.resume.set()

    async def _travel(self, message: Message, outcome: Outcome) -> None:
        delay = self.config.report_delay
        if outcome.answer is Answer.LOST:
            # Long enough for the caller to have given up hope, not to have fallen back.
            delay *= _LATE
        await asyncio.sleep(delay / 2)
        message.status, message.sent_at = "sent", now()
        sent = event("message.sent", message.payload())
        if outcome.reports and not outcome.confused:
            self._report(message, sent)
        await asyncio.sleep(delay / 2)
        message.arrived = outcome.arrives
        if outcome.shown is None:
            return
        message.status, message.completed_at = outcome.shown, now()
        final = event("message.finalized", message.payload(outcome.final))
        if not outcome.reports:
            return
        self._report(message, final)
        if outcome.confused:
            for repeated in (final, sent, sent):
                await asyncio.sleep(delay / 10)
                self._report(message, repeated)

    def _report(self, message: Message, data: dict[str, Any]) -> None:
        urls = list(message.request.webhook_urls)
        profile = self.config.profile_webhook_url
        if message.request.use_profile_webhooks and profile is not None:
            urls.append(profile)
        self.courier.spawn(self.courier.deliver(data, urls))

    def _inbound_payload(self, from_: str, to: str | None, text: str) -> dict[str, Any]:
        sent = self.messages.of(from_)
        answered = to or (sent[-1].request.from_ if sent else "+18445550001")
        return {
            "id": str(uuid4()),
            "record_type": "message",
            "direction": "inbound",
            "type": "SMS",
            "messaging_profile_id": "00000000-0000-4000-8000-000000000001",
            "from": {"phone_number": from_, "carrier": "SANDBOX WIRELESS", "line_type": "Wireless"},
            "to": [
                {
                    "phone_number": answered,
                    "status": "webhook_delivered",
                    "carrier": "Telnyx",
                    "line_type": "Wireless",
                }
            ],
            "cc": [],
            "text": text,
            "media": [],
            "encoding": "GSM-7",
            "parts": 1,
            "tags": [],
            "cost": None,
            "errors": [],
            "received_at": now(),
            "sent_at": None,
            "completed_at": None,
            "valid_until": None,
        }
