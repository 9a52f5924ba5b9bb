"""What becomes of an accepted message, and what a phone writes back."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from service.sandbox.bounded import Bounded
from service.sandbox.config import SandboxConfig
from service.sandbox.feed import Feed
from service.sandbox.inbound import Inbound, autoresponse
from service.sandbox.messages import UNASKED_SENDER, Message, Messages, now
from service.sandbox.outage import Outage
from service.sandbox.scenarios import Answer, Outcome, Reports, Scenarios
from service.sandbox.webhooks import Courier, event

_LATE = 3
_REPLIES = 1_000


@dataclass(slots=True)
class Network:
    """The state of the sandbox. ``blocked`` holds the numbers that sent STOP; Telnyx keeps them for
    each messaging profile, and the sandbox has one."""

    config: SandboxConfig
    courier: Courier
    outage: Outage
    feed: Feed
    messages: Messages = field(default_factory=Messages)
    scenarios: Scenarios = field(default_factory=Scenarios)
    blocked: Bounded[str, None] = field(default_factory=Bounded)
    replies: deque[Inbound] = field(default_factory=lambda: deque(maxlen=_REPLIES))

    def accept(self, message: Message, outcome: Outcome) -> None:
        """Let an accepted message go its way."""
        self.feed.changed(message)
        self.courier.spawn(self._travel(message, outcome))

    def receive(self, from_: str, to: str | None, text: str, webhook_url: str) -> Inbound:
        """A phone writes, by default to whoever wrote to it last."""
        last = self.messages.last_to(from_)
        reply = Inbound(
            from_=from_, text=text, to=to or (last.request.from_ if last else UNASKED_SENDER)
        )
        match autoresponse(text):
            case "STOP":
                self.blocked[from_] = None
            case "START":
                self.blocked.pop(from_, None)
        self.replies.append(reply)
        self.feed.changed(reply)
        data = event("message.received", reply.payload())
        self.courier.spawn(self.courier.deliver(data, [webhook_url]))
        return reply

    async def _travel(self, message: Message, outcome: Outcome) -> None:
        delay = self.config.report_delay
        if outcome.answer is Answer.LOST:
            # The caller has an error in hand: its report is to find a caller that has moved on.
            delay *= _LATE
        await asyncio.sleep(delay / 2)
        message.leave()
        self.feed.changed(message)
        sent = event("message.sent", message.payload())
        if outcome.reports is Reports.IN_ORDER:
            self.courier.spawn(self._report(message, sent))
        await asyncio.sleep(delay / 2)
        message.arrived = outcome.arrives
        self.feed.changed(message)
        if outcome.final is None:
            return
        message.finish(outcome.final)
        self.feed.changed(message)
        final = event("message.finalized", message.payload())
        if outcome.reports is Reports.IN_ORDER:
            self.courier.spawn(self._report(message, final))
        elif outcome.reports is Reports.CONFUSED:
            for report in (final, sent, final, sent):
                await self._report(message, report)

    async def _report(self, message: Message, data: dict[str, Any]) -> None:
        urls = list(message.request.webhook_urls)
        profile = self.config.profile_webhook_url
        if message.request.use_profile_webhooks and profile is not None:
            urls.append(profile)
        if not urls:
            return
        taken = await self.courier.deliver(data, urls)
        message.reports.append({"event_type": data["event_type"], "taken": taken, "at": now()})
        self.feed.changed(message)
