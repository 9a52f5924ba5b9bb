"""What becomes of an accepted message, and what a phone writes back."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from service.sandbox.account import Account
from service.sandbox.config import SandboxConfig
from service.sandbox.encoding import encode
from service.sandbox.feed import Feed
from service.sandbox.inbound import Inbound
from service.sandbox.lookup import Line
from service.sandbox.messages import UNASKED_SENDER, Message, Messages, group_payload, now
from service.sandbox.optouts import OptOut, OptOuts
from service.sandbox.outage import Outage
from service.sandbox.requests import SendRequest, kind_of
from service.sandbox.scenarios import Answer, Kind, Outcome, Reports, Scenarios
from service.sandbox.store import Shelf, Store
from service.sandbox.webhooks import Courier, event

_LATE = 3
_REPLIES = 1_000
_WINDOW = timedelta(hours=24)  # WhatsApp's customer service window
_UNSENT = Outcome(reports=Reports.NONE)


@dataclass(slots=True)
class Network:
    """The state of the sandbox; all but scenarios, lookups and outages outlives it with a ``store``."""

    config: SandboxConfig
    courier: Courier
    outage: Outage
    feed: Feed
    store: Store = field(default_factory=Store)
    scenarios: Scenarios = field(default_factory=Scenarios)
    lookups: dict[str, Line] = field(default_factory=dict)
    account: Account = field(init=False)
    messages: Messages = field(init=False)
    opt_outs: OptOuts = field(init=False)
    _replies: Shelf[Inbound] = field(init=False)
    _held: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.account = Account(self.store)
        self.messages = Messages(store=self.store)
        self.opt_outs = OptOuts(self.store)
        self._replies = Shelf(self.store, "reply", Inbound, _REPLIES)

    @property
    def replies(self) -> Collection[Inbound]:
        """What phones wrote, oldest first."""
        found: Collection[Inbound] = self._replies.values()
        return found

    def reply(self, id_: str) -> Inbound | None:
        return self._replies.get(id_)

    def resume(self) -> None:
        """Let messages of an earlier run go on their way, and deliver the reports that are still owed."""
        for message in list(self.messages.of(None)):
            if message.completed_at is None and message.status != "cancelled":
                self.accept(message)
            elif self._is_owed(message, "message.finalized"):
                final = event("message.finalized", self._payload(message))
                self.courier.spawn(self._report(message, final))

    def accept(self, message: Message) -> None:
        """Let an accepted message go its way."""
        self.feed.changed(message)
        self.courier.spawn(self._travel(message))

    def cancel(self, message: Message) -> None:
        """Take back a scheduled message."""
        message.finish("cancelled")
        self._changed(message)
        self._wake(message)

    def send_now(self, message: Message) -> None:
        """Let a scheduled message leave before its time."""
        message.status = "queued"
        self._changed(message)
        self._wake(message)

    def receive(self, from_: str, to: str | None, text: str, webhook_url: str) -> Inbound:
        """A phone writes, by default to whoever wrote to it last."""
        last = self.messages.last_to(from_)
        number = to or (last.request.from_ if last else UNASKED_SENDER)
        profile = self.account.profile_of(number)
        kind, answer = self.account.respond(profile, from_, text)
        reply = Inbound(
            from_=from_, text=text, to=number, messaging_profile_id=profile, autoresponse_type=kind
        )
        if kind == "STOP":
            keyword = text.strip().upper()
            self.opt_outs.add(
                OptOut(from_=number, to=from_, messaging_profile_id=profile, keyword=keyword)
            )
        elif kind == "START":
            self.opt_outs.lift(profile, from_)
        self._replies.put(reply.id, reply)
        self.feed.changed(reply)
        data = event("message.received", reply.payload())
        self.courier.spawn(self.courier.deliver(data, [webhook_url]))
        if answer is not None:
            self._answer(reply, answer)
        return reply

    def click(self, message: Message, url: str, webhook_url: str) -> None:
        """The person taps a link; Telnyx tells the messaging profile's URL."""
        data = {
            "record_type": "link_clicked",
            "message_id": message.id,
            "to": message.request.from_,
            "url": url,
            "time_clicked": now(),
        }
        self.courier.spawn(self.courier.deliver(data, [webhook_url]))

    def has_written_lately(self, number: str) -> bool:
        """Whether WhatsApp's 24 hours for free text are open."""
        since = (datetime.now(UTC) - _WINDOW).isoformat(timespec="milliseconds")
        return any(r.from_ == number and r.created_at >= since for r in self.replies)

    def _answer(self, reply: Inbound, text: str) -> None:
        """An autoresponse goes out in spite of a STOP, and without webhooks: nobody asked for it."""
        request = SendRequest(
            kind=kind_of(reply.to) or Kind.LONG_CODE,
            to=reply.from_,
            from_=reply.to,
            text=text,
            encoded=encode(text),
            messaging_profile_id=reply.messaging_profile_id,
            webhook_url=None,
            webhook_failover_url=None,
            use_profile_webhooks=False,
        )
        self.accept(self.messages.add(request, _UNSENT))

    async def _travel(self, message: Message) -> None:
        outcome = message.outcome
        delay = self.config.report_delay
        if outcome.answer is Answer.LOST:
            # The caller has an error in hand: its report is to find a caller that has moved on.
            delay *= _LATE
        if message.status == "scheduled" and not await self._leaves(message):
            return
        sent: dict[str, Any] | None = None
        if message.status == "queued":
            await asyncio.sleep(delay / 2)
            message.leave()
            sent = event("message.sent", self._payload(message))
            self._changed(message)
            if outcome.reports is Reports.IN_ORDER:
                self.courier.spawn(self._report(message, sent))
        await asyncio.sleep(delay / 2)
        message.arrived = outcome.arrives
        self.feed.changed(message)
        if outcome.final is None:
            self._changed(message)
            return
        message.finish(outcome.final)
        self._changed(message)
        final = event("message.finalized", self._payload(message))
        if outcome.reports is Reports.IN_ORDER:
            self.courier.spawn(self._report(message, final))
        elif outcome.reports is Reports.CONFUSED:
            for report in filter(None, (final, sent, final, sent)):
                await self._report(message, report)

    async def _leaves(self, message: Message) -> bool:
        """Hold a scheduled message until its time; ``False`` if it is not to be sent after all."""
        at = datetime.fromisoformat(message.request.send_at or message.created_at)
        wake = self._held.setdefault(message.id, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, (at - datetime.now(UTC)).total_seconds())):
                await wake.wait()
        self._held.pop(message.id, None)
        if message.status == "cancelled":
            return False
        message.status = "queued"
        profile = message.request.messaging_profile_id or ""
        if self.opt_outs.blocks(profile, message.request.to):
            message.error = "40300"
            message.finish("sending_failed")
            final = event("message.finalized", self._payload(message))
            self.courier.spawn(self._report(message, final))
        self._changed(message)
        return message.status == "queued"

    def _wake(self, message: Message) -> None:
        if message.id in self._held:
            self._held[message.id].set()

    def _payload(self, message: Message) -> dict[str, Any]:
        """Each recipient of a group is reported, with all of the group."""
        members = self.messages.group(message.group) if message.group else []
        return group_payload(members) if members else message.payload()

    def _changed(self, message: Message) -> None:
        """Write it down, and show it to whoever watches."""
        self.messages.save(message)
        self.feed.changed(message)

    def _is_owed(self, message: Message, kind: str) -> bool:
        told = any(report["event_type"] == kind for report in message.reports)
        wanted = message.outcome.reports is not Reports.NONE and message.status != "cancelled"
        return wanted and not told and bool(self._urls(message))

    def _urls(self, message: Message) -> list[str]:
        urls = list(message.request.webhook_urls)
        profile = self.config.profile_webhook_url
        if message.request.use_profile_webhooks and profile is not None:
            urls.append(profile)
        return urls

    async def _report(self, message: Message, data: dict[str, Any]) -> None:
        urls = self._urls(message)
        if not urls:
            return
        taken = await self.courier.deliver(data, urls)
        message.reports.append({"event_type": data["event_type"], "taken": taken, "at": now()})
        self._changed(message)
