"""The triggers beside a start: each records one fact in one script and makes the verification due."""

import re
from collections.abc import Sequence
from dataclasses import replace

from service.clock import Clock
from service.domain import audit
from service.domain.audit import EventType
from service.domain.decide import Policy
from service.domain.errors import (
    NotFoundError,
    RateLimitedError,
    RecipientOptedOutError,
    ResendTooSoonError,
    VerificationClosedError,
    unknown_verification,
)
from service.domain.keyring import Keyring
from service.domain.opt_out import Request, read_request
from service.domain.opt_out_scope import Scopes
from service.domain.recipient import InvalidNumberError, Recipient, parse_recipient
from service.domain.verification import (
    Delivery,
    Fault,
    HeldBack,
    Reason,
    Report,
    Status,
    Verification,
)
from service.flow.advance import Advance
from service.flow.pumping import Pumping
from service.flow.spending import Spending
from service.flow.tasks import SEND_BUDGET, Tasks
from service.store.keys import is_id
from service.store.recipients import OptOut, RecipientStore
from service.store.scripts import Reply
from service.store.verifications import VerificationStore
from service.tracing import Name, span

_RECORDED = ("due", "leased", "closed")
_REF = re.compile(r"((?:ver|ntc)_[0-9]{2}[0-9a-f]{32})\.([1-9][0-9]?)\.([0-9a-f]{32})", re.ASCII)


_ASKED = ("due", "leased")


class Facts:
    """Resend, cancel, delivery reports, STOP and START."""

    def __init__(
        self,
        *,
        store: VerificationStore,
        recipients: RecipientStore,
        advance: Advance,
        tasks: Tasks,
        pumping: Pumping,
        spending: Spending,
        keyring: Keyring,
        policy: Policy,
        scopes: Scopes,
        resend_after: int,
        clock: Clock,
        uniform: bool = False,
    ) -> None:
        """``uniform``: a resend is answered alike, whatever is known of the recipient."""
        self._uniform = uniform
        self._store = store
        self._recipients = recipients
        self._advance = advance
        self._tasks = tasks
        self._pumping = pumping
        self._spending = spending
        self._keyring = keyring
        self._policy = policy
        self._scopes = scopes
        self._resend_after = resend_after
        self._clock = clock

    async def get(self, id_: str, app: str) -> Verification:
        """Raises NotFoundError if there is none, or it is another app's."""
        v = await self._store.get(id_)
        if v is None or v.app != app or v.notice is not None:
            raise unknown_verification()
        return v

    async def resend(self, id_: str, app: str, actor: str) -> Verification:
        """Ask for another message, and try to send it at once.

        Raises:
            NotFoundError, VerificationClosedError, RecipientOptedOutError, ResendTooSoonError: as
                their names say.
            RateLimitedError: the verification has used up its messages, or a spending cap held this one back.
            SuspectedFraudError: nothing is sent there for now.
        """
        v = await self.get(id_, app)
        with span(Name.RESEND, id_):
            again = self._resend_uniformly if self._uniform else self._resend
            return await again(v, actor)

    async def _resend(self, v: Verification, actor: str) -> Verification:
        id_, app = v.id, v.app
        now = self._clock.now()
        if v.opted_out or v.closed_reason is Reason.RECIPIENT_OPTED_OUT:
            raise RecipientOptedOutError("The recipient asked for no more messages.")
        if v.status_at(now) is Status.PENDING and v.messages >= self._policy.max_deliveries:
            raise RateLimitedError("max_deliveries", (v.expires_at - now) / 1000)
        event = audit.of_verification(
            EventType.RESEND_ASKED, v, now, actor=actor, reason=Reason.RESEND
        )
        judged = await self._pumping.resend(
            v, lambda: audit.of_verification(EventType.GUARD_BLOCKED, v, now, actor=actor)
        )
        reply = await self._store.ask_resend(id_, app, now, now + self._resend_after, event)
        if judged is not None and reply[0] not in _ASKED:
            await self._pumping.give_back(judged)
        _raise_unless_asked(reply)
        await self._tasks.within(self._advance(id_), SEND_BUDGET)
        sent = await self.get(id_, app)
        _raise_if_withheld(sent.deliveries[len(v.deliveries) :])
        return sent

    async def _resend_uniformly(self, v: Verification, actor: str) -> Verification:
        """As ``resend``, by what the caller knows alone: times, and how often it asked. What becomes of
        the wish follows the answer."""
        now = self._clock.now()
        if (
            v.status_at(now) is Status.PENDING
            and 1 + v.resends_asked >= self._policy.max_deliveries
        ):
            raise RateLimitedError("max_deliveries", (v.expires_at - now) / 1000)
        judged = await self._pumping.look_again(v)
        refusal = self._pumping.refusal(judged) if judged is not None else None
        withheld = v.withheld or (Reason.SUSPECTED_FRAUD if refusal is not None else None)
        # What is not sent is none of the messages that a changed policy is tried on.
        told = v if withheld is None else replace(v, tracked=None)
        event = audit.of_verification(
            EventType.RESEND_ASKED, told, now, actor=actor, reason=Reason.RESEND
        )
        reply = await self._store.ask_resend(
            v.id, v.app, now, now + self._resend_after, event, withheld=withheld
        )
        asked = reply[0] in _ASKED

        async def settle() -> None:
            if judged is None:
                return
            if not asked or v.withheld is not None or (v.tracked and v.tracked.suspected):
                await self._pumping.uncount(judged)
                return
            await self._pumping.act(judged)
            if refusal is not None:
                blocked = audit.of_verification(EventType.GUARD_BLOCKED, v, now, actor=actor)
                await self._pumping.record_refusal(judged, blocked)

        self._tasks.after_answer(settle)
        _raise_unless_asked(reply)
        self._tasks.after_answer(lambda: self._advance(v.id))
        return await self.get(v.id, v.app)

    async def cancel(self, id_: str, app: str, actor: str) -> Verification:
        """End a verification for its app; its codes die.

        Raises:
            NotFoundError, VerificationClosedError: as their names say.
        """
        v = await self.get(id_, app)
        now = self._clock.now()
        event = audit.of_verification(
            EventType.VERIFICATION_CANCELED, v, now, actor=actor, reason=Reason.CANCELED
        )
        reply = await self._store.cancel(v, app, now, event)
        if reply[0] == "closed":
            raise VerificationClosedError(reply[1])
        return await self.get(id_, app)

    async def report(self, ref: str, report: Report) -> str:
        """Record a delivery report under the ref of its webhook URL, and go on from it.

        Gives the script's word (``due``, ``leased``, ``closed``, ``repeated``), or ``unknown`` for a ref
        that is not one of ours.
        """
        match = _REF.fullmatch(ref)
        if match is None or not is_id(match[1]):
            return "unknown"
        if not self._keyring.tag_matches(f"{match[1]}.{match[2]}", match[3]):
            return "unknown"
        id_, number, now = match[1], int(match[2]), self._clock.now()
        event = audit.of_report(id_, number, report, now, "telnyx")
        with span(Name.REPORT, id_, delivery=number, status=report.status) as note:
            word = await self._store.record_report(id_, number, report, now, event)
            if note is not None:
                note("recorded", {"effect": word})
        if word == "due":
            self._tasks.spawn(self._advance(id_))
        if word in _RECORDED and self._spending.is_on:
            self._tasks.spawn(self._settle(id_, number, report))
        return word

    async def _settle(self, id_: str, number: int, report: Report) -> None:
        v = await self._store.get(id_)
        if v is not None:
            await self._spending.reported(v, number, report)

    async def inbound(
        self, number: str, text: str, *, profile: str | None = None, answered: str | None = None
    ) -> Request | None:
        """A person wrote: STOP and START are recorded, anything else is not kept.

        ``profile``: the messaging profile that it came to. ``answered``: the keyword that Telnyx took it
        for, which may be one that only the account knows; a STOP in either's eyes is one.
        """
        request = _either(read_request(text), answered)
        if request not in (Request.STOP, Request.START):
            return request
        try:
            recipient = parse_recipient(number)
        except InvalidNumberError:
            return None
        if request is Request.STOP:
            scope = self._scopes.of_number(profile)
            await self._record(recipient, scope, actor="recipient", source="inbound")
        else:
            lifted = self._scopes.lifted_by_person(profile)
            await self._lift(recipient, lifted, actor="recipient", source="inbound")
        return request

    async def opt_out(self, recipient: Recipient, *, app: str, actor: str, source: str) -> bool:
        """Record an opt-out for an app's caller and stop what is pending; ``False`` if it was recorded
        before."""
        return await self._record(
            recipient, self._scopes.of_caller(app), actor=actor, source=source
        )

    async def opt_in(self, recipient: Recipient, *, app: str, actor: str, source: str) -> bool:
        """Lift an opt-out for an app's caller; ``False`` if there was none that the app may lift."""
        lifted = self._scopes.lifted_by_caller(app)
        return await self._lift(recipient, lifted, actor=actor, source=source)

    async def get_opt_out(self, recipient: Recipient, app: str) -> OptOut:
        """What bars the app. Raises NotFoundError if nothing does."""
        found = await self._recipients.get_opt_out(
            self._keyring.lookup_id(recipient.e164), self._scopes.seen_by_caller(app)
        )
        if found is None:
            raise NotFoundError("There is no opt-out of this number.")
        return found

    async def _record(self, recipient: Recipient, scope: str, *, actor: str, source: str) -> bool:
        recipient_id = self._keyring.lookup_id(recipient.e164)
        entry = OptOut(recipient.masked, self._clock.now(), source, scope)
        stopped = await self._recipients.opt_out(recipient_id, entry, actor=actor)
        for id_ in stopped or ():
            self._tasks.spawn(self._advance(id_))
        return stopped is not None

    async def _lift(
        self, recipient: Recipient, scopes: Sequence[str], *, actor: str, source: str
    ) -> bool:
        recipient_id = self._keyring.lookup_id(recipient.e164)
        event = audit.of_opt_out(
            EventType.OPT_OUT_LIFTED,
            recipient_id,
            recipient.masked,
            self._clock.now(),
            actor=actor,
            source=source,
        )
        return await self._recipients.opt_in(recipient_id, scopes, event)


def _raise_if_withheld(made: Sequence[Delivery]) -> None:
    for delivery in made:
        outcome = delivery.outcome
        if isinstance(outcome, HeldBack) and outcome.fault is Fault.SPEND:
            raise RateLimitedError(outcome.errors[0].code, outcome.retry_after / 1000)


def _either(read: Request | None, answered: str | None) -> Request | None:
    taken_for = answered.lower() if answered else None
    if Request.STOP in (read, taken_for):
        return Request.STOP
    return Request(taken_for) if taken_for in set(Request) else read


def _raise_unless_asked(reply: Reply) -> None:
    match reply[0]:
        case "unknown":
            raise unknown_verification()
        case "closed":
            raise VerificationClosedError(reply[1])
        case "too_soon":
            raise ResendTooSoonError(
                "Another message may be asked for after the time in Retry-After.",
                int(reply[1]) / 1000,
            )
