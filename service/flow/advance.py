"""``advance``: claim a verification, decide, act, record. Nothing else sends.

Whoever records a fact calls it at once, and a worker calls it for everything that is due; the lease
makes the two safe together. The plain code is in a ``Draft`` and nowhere else.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from service.clock import Clock
from service.domain import audit
from service.domain.audit import EventType
from service.domain.breaker import held
from service.domain.code import Code, draw_code
from service.domain.decide import Close, Decision, Policy, Reconcile, Send, Wait, decide
from service.domain.keyring import Keyring
from service.domain.notice import complete_notice
from service.domain.opt_out_scope import Scopes
from service.domain.plan import Sender
from service.domain.recipient import parse_recipient
from service.domain.rules import Action, Finding
from service.domain.text import TextError
from service.domain.texts import Texts
from service.domain.verification import (
    Accepted,
    Delivery,
    Fault,
    HeldBack,
    NotSent,
    Outcome,
    ProviderError,
    Reason,
    Refused,
    Status,
    Uncertain,
    Verification,
)
from service.flow.breakers import Breakers
from service.flow.hashing import HashPool
from service.flow.lookups import REASONS, Lookups
from service.flow.spending import Spending
from service.store.apps import AppStore
from service.store.recipients import OptOut, RecipientStore
from service.store.verifications import Begin, Claim, Tripped, VerificationStore
from service.telemetry import Metrics
from service.telnyx.client import Cancellation, TelnyxClient
from service.tracing import Name, Note, span

_MOST_STEPS = 32
_POOL_FULL_WAIT = 500
_TAKE_BACK_AGAIN = 2_000
_ACTOR = "countersign"
_NO_ROOM = (ProviderError("text", "The text is too long"),)
_CLOSED_TYPES = {
    Status.EXPIRED: EventType.VERIFICATION_EXPIRED,
    Status.LOCKED: EventType.VERIFICATION_LOCKED,
    Status.UNDELIVERABLE: EventType.VERIFICATION_UNDELIVERABLE,
}


@dataclass(frozen=True, slots=True)
class Messages:
    """Where Telnyx reports to, and how long (milliseconds) a person waits before they may ask for
    another."""

    public_url: str
    resend_after: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may leave once the store has it begun. A notice has no code. ``texts``: the wordings
    of its app."""

    begin: Begin
    sender: Sender
    to: str = field(repr=False)
    code: Code | None
    texts: Texts


@dataclass(frozen=True, slots=True)
class Progress:
    """Where ``advance`` left a verification, which the store has just so until ``due_at``; ``None`` where
    it is nobody's turn, or somebody else's."""

    verification: Verification
    due_at: int | None = None


class Advance:
    """The one flow, over the store, the hash pool and Telnyx."""

    def __init__(
        self,
        *,
        store: VerificationStore,
        apps: AppStore,
        recipients: RecipientStore,
        telnyx: TelnyxClient,
        hashing: HashPool,
        keyring: Keyring,
        spending: Spending,
        breakers: Breakers,
        policy: Policy,
        scopes: Scopes,
        messages: Messages,
        texts: Texts,
        clock: Clock,
        metrics: Metrics,
        uniform: bool = False,
        lookups: Lookups | None = None,
    ) -> None:
        """``texts``: the wordings that apps have in common. ``uniform``: a verification stays pending to its
        end, whatever becomes of its messages.
        ``lookups``: judge a recipient before the first message, where nobody did before."""
        self._store = store
        self._apps = apps
        self._recipients = recipients
        self._telnyx = telnyx
        self._hashing = hashing
        self._keyring = keyring
        self._spending = spending
        self._breakers = breakers
        self._policy = policy
        self._scopes = scopes
        self._messages = messages
        self._texts = texts
        self._clock = clock
        self._metrics = metrics
        self._uniform = uniform
        self._lookups = lookups

    async def __call__(self, id_: str) -> Progress | None:
        """Advance if the lease is free and something is open; ``None`` otherwise."""
        claim = await self._store.claim(id_, self._clock.now())
        return await self.run(claim) if claim is not None else None

    async def draft(self, v: Verification, salt: bytes) -> Draft | None:
        """The first message of a verification that is about to be created; ``None`` where it is decided
        once it is."""
        if self._uniform or self._is_full(v):
            return None
        decision = decide(v, self._policy, self._clock.now())
        return await self._draft(v, salt, decision) if isinstance(decision, Send) else None

    async def run(self, claim: Claim, draft: Draft | None = None) -> Progress:
        """Decide and act until there is nothing to do now. ``draft``: what the claim's creator made; it is
        sent if it was begun."""
        with span(Name.ADVANCE, claim.verification.id) as note:
            return await self._run(claim, draft, note)

    async def _run(self, claim: Claim, draft: Draft | None, note: Note | None) -> Progress:
        current: Claim | Progress
        if draft is not None and claim.verification.deliveries:
            _tell(note, Send(draft.sender, draft.begin.delivery.reason))
            current = await self._deliver(claim, draft)
        else:
            await self._breakers.close_passed(claim.verification)
            current = await self._settle_abandoned(claim)
        for _ in range(_MOST_STEPS):
            if isinstance(current, Progress):
                return current
            current = await self._step(current, note)
        # Facts that keep coming in must not hold a worker: the lease ends, and it is due again.
        return current if isinstance(current, Progress) else Progress(current.verification)

    async def _step(self, claim: Claim, note: Note | None) -> Claim | Progress:
        decision = decide(claim.verification, self._policy, self._clock.now())
        _tell(note, decision)
        match decision:
            case Send():
                return await self._send(claim, decision)
            case Reconcile():
                return await self._reconcile(claim, decision)
            case Wait():
                await self._hash_for_nobody(claim)
                return await self._wait(claim, decision.until)
            case Close(Status.UNDELIVERABLE) if self._uniform and claim.verification.notice is None:
                return await self._withhold(claim, decision.reason)
            case Close():
                return await self._close(claim, decision)

    async def _settle_abandoned(self, claim: Claim) -> Claim | Progress:
        """A delivery without an outcome, under a lease of ours, was left by a process that died: its
        POST may or may not have been made, and is never made again."""
        v = claim.verification
        last = v.deliveries[-1] if v.deliveries else None
        if last is None or last.outcome is not None:
            return claim
        return await self._record(claim, last, Uncertain(last.begun_at))

    async def _send(self, claim: Claim, decision: Send) -> Claim | Progress:
        v = claim.verification
        if self._is_full(v):
            return await self._wait(claim, self._clock.now() + _POOL_FULL_WAIT)
        if refusing := await self._look_up(v):
            return await self._withhold(claim, REASONS[refusing.rule], refusing)
        if v.deliveries or self._uniform:  # Otherwise the guard reserved what a start sends.
            over = await self._spending.reserve(v, len(v.deliveries) + 1)
            if over is not None:
                return await self._hold_back(claim, decision, over)
        draft = await self._draft(v, claim.salt, decision)
        word = await self._store.begin_delivery(claim, draft.begin)
        if isinstance(word, Tripped) and await self._breakers.may_try(word):
            draft = replace(draft, begin=_probing(draft.begin, word.route))
            word = await self._store.begin_delivery(claim, draft.begin)
        if isinstance(word, Tripped):
            return await self._hold_back(claim, decision, held(self._clock.now()))
        if word != "ok":
            return await self._not_begun(claim, word)
        return await self._deliver(claim.after(draft.begin), draft)

    def _is_full(self, v: Verification) -> bool:
        return v.notice is None and self._hashing.full

    async def _deliver(self, begun: Claim, draft: Draft) -> Claim | Progress:
        """Send what was begun, and record what came of it."""
        v, delivery = begun.verification, draft.begin.delivery
        outcome: Outcome
        try:
            text = self._text(v, draft)
        except TextError:
            # It fitted when it was started: name or wordings have become longer since.
            outcome = HeldBack(self._clock.now(), Fault.SENDER, _NO_ROOM)
        else:
            outcome = await self._post(v, delivery, draft, text)
        settled = await self._record(begun, delivery, outcome)
        if v.send_at:
            await self._take_back_if_closed(v.with_outcome(delivery.number, outcome))
        return settled

    async def _post(self, v: Verification, delivery: Delivery, draft: Draft, text: str) -> Outcome:
        sender = draft.sender
        with span(
            Name.SEND, v.id, sender=sender.name, kind=sender.kind, reason=delivery.reason
        ) as note:
            outcome = await self._telnyx.send(
                sender,
                to=draft.to,
                text=text,
                webhook_url=self._webhook_url(v.id, delivery.number),
                now=self._clock.now,
                send_at=v.send_at if v.send_at > self._clock.now() else None,
            )
            if note is not None:
                note("outcome", _of_outcome(outcome))
        return outcome

    async def _hold_back(self, claim: Claim, decision: Send, why: HeldBack) -> Claim | Progress:
        """Record a delivery that is not sent. It has no code: nothing could be typed in."""
        begin = self._begin(claim.verification, decision)
        word = await self._store.begin_delivery(claim, begin)
        if word != "ok":
            return await self._not_begun(claim, word)
        return await self._record(claim.after(begin), begin.delivery, why)

    async def _not_begun(self, claim: Claim, word: str | Tripped) -> Claim | Progress:
        match word:
            case "changed":
                return await self._reload(claim)
            case "opted_out":
                return claim.on(claim.verification.changed(opted_out=True))
            case _:
                return Progress(claim.verification)

    async def _draft(self, v: Verification, salt: bytes, decision: Send) -> Draft:
        code, digest = None, b""
        if v.notice is None:
            code = draw_code(v.code_length, secrets.randbelow, v.alphabet)
            digest = await self.digest(v, salt, code)
        to = self._keyring.unseal(v.key_id, v.sealed)
        routes = self._breakers.routes(to, decision.sender).names
        texts = (await self._apps.get(v.app)).texts_over(self._texts)
        return Draft(self._begin(v, decision, digest, routes), decision.sender, to, code, texts)

    def _text(self, v: Verification, draft: Draft) -> str:
        stop_text = draft.sender.stop_text_in(v.country)
        if draft.code is None:
            return complete_notice(v.notice.text if v.notice else "", stop_text)
        if draft.sender.template is not None:
            return draft.code.reveal()
        wording = draft.texts.wording(
            draft.code,
            purpose=v.purpose,
            country=v.country,
            locale=v.locale,
            host=v.host,
            app_hash=v.app_hash,
            transaction=v.transaction,
            stop_text=stop_text,
        )
        return wording.say(draft.code)

    async def digest(self, v: Verification, salt: bytes, code: Code) -> bytes:
        """Of a code of the verification. Raises UnavailableError if the hash pool is full."""
        with self._hashing.slot():
            return await self._hashing.digest(
                code,
                verification=v.id,
                pepper=self._keyring.pepper(v.key_id),
                salt=salt,
                bound=v.bound,
            )

    async def _hash_for_nobody(self, claim: Claim) -> None:
        """What is withheld keeps the pool as busy as a message would: the next answer waits alike."""
        v = claim.verification
        if v.withheld is not None and not self._hashing.full:
            code = draw_code(v.code_length, secrets.randbelow)
            await self.digest(v, claim.salt, code)

    async def _look_up(self, v: Verification) -> Finding | None:
        """What blocks the first message, if Number Lookup is asked here and something does."""
        if self._lookups is None or v.deliveries or v.notice is not None:
            return None
        recipient = parse_recipient(self._keyring.unseal(v.key_id, v.sealed))
        found = await self._lookups.judge(recipient, v.recipient_id)
        return next((finding for finding in found if finding.action is Action.BLOCK), None)

    def _begin(
        self, v: Verification, decision: Send, digest: bytes = b"", routes: Sequence[str] = ()
    ) -> Begin:
        delivery = Delivery(
            number=len(v.deliveries) + 1,
            sender=decision.sender.name,
            kind=decision.sender.kind,
            reason=decision.reason,
            begun_at=self._clock.now(),
        )
        event = audit.of_delivery(EventType.DELIVERY_BEGUN, v, delivery, delivery.begun_at)
        resend_after = delivery.begun_at + self._messages.resend_after
        if self._uniform:  # A fallback must not show in it.
            resend_after = v.resend_after
        return Begin(delivery, event, resend_after, digest, routes)

    async def _record(self, claim: Claim, delivery: Delivery, outcome: Outcome) -> Claim | Progress:
        """Record an outcome, with the next deadline where the next decision is to wait."""
        self._metrics.delivery(delivery.kind, delivery.reason, outcome)
        v = claim.verification.with_outcome(delivery.number, outcome)
        if isinstance(outcome, Refused) and outcome.fault is Fault.OPTED_OUT:
            await self._opt_out(v, delivery)
        upcoming = decide(v, self._policy, self._clock.now())
        due_at = upcoming.until if isinstance(upcoming, Wait) else None
        event = audit.of_outcome(v, delivery, outcome)
        word = await self._store.record_outcome(claim, delivery.number, outcome, due_at, event)
        v = v.changed(rev=v.rev + 1)
        if isinstance(outcome, Refused | NotSent):
            await self._spending.give_back(v, delivery.number)
        match word:
            case "ok" if due_at is not None:
                return Progress(v, due_at)
            case "ok":
                return claim.on(v)
            case "changed":
                return await self._reload(claim)
            case _:
                return Progress(v)

    async def _opt_out(self, v: Verification, delivery: Delivery) -> None:
        """Telnyx knows of an opt-out that we do not: keep it, under the scope of its block."""
        profiles = {sender.name: sender.messaging_profile_id for sender in v.plan}
        scope = self._scopes.of_number(profiles.get(delivery.sender))
        entry = OptOut(v.masked, self._clock.now(), "telnyx", scope)
        await self._recipients.opt_out(v.recipient_id, entry, actor="telnyx")

    async def _reconcile(self, claim: Claim, decision: Reconcile) -> Claim | Progress:
        v = claim.verification
        delivery = v.deliveries[decision.delivery - 1]
        report = None
        if delivery.message_id is not None:
            report = await self._telnyx.retrieve(delivery.message_id, now=self._clock.now())
        now = self._clock.now()
        if report is not None:
            reported = audit.of_report(v.id, delivery.number, report, now, _ACTOR)
            await self._store.record_report(v.id, delivery.number, report, now, reported)
            await self._spending.reported(v, delivery.number, report)
        event = audit.of_delivery(EventType.DELIVERY_RECONCILED, v, delivery, now)
        word = await self._store.record_reconciled(claim, delivery.number, now, event)
        return Progress(v) if word == "lost" else await self._reload(claim)

    async def _wait(self, claim: Claim, until: int) -> Claim | Progress:
        word = await self._store.wait(claim, until)
        if word == "changed":
            return await self._reload(claim)
        return Progress(claim.verification, until if word == "ok" else None)

    async def _close(self, claim: Claim, decision: Close) -> Claim | Progress:
        v = claim.verification
        now = self._clock.now()
        if not await self._take_back(v):
            return await self._wait(claim, now + _TAKE_BACK_AGAIN)
        kind = _CLOSED_TYPES.get(decision.status)
        if kind is None:
            return Progress(v)
        event = audit.of_verification(kind, v, now, actor=_ACTOR, reason=decision.reason)
        word = await self._store.close(claim, decision.status, decision.reason, now, event)
        if word == "changed":
            return await self._reload(claim)
        if word == "ok":
            await self._tell_closed(v, decision)
            v = v.changed(status=decision.status, closed_reason=decision.reason)
        return Progress(v)

    async def _tell_closed(self, v: Verification, decision: Close) -> None:
        if not v.test:
            self._metrics.closed(decision.status, decision.reason)
        if decision.reason is Reason.PROVIDER_BLOCKED:
            await self._breakers.blocked(v)

    async def _withhold(
        self, claim: Claim, reason: Reason, refusing: Finding | None = None
    ) -> Claim | Progress:
        """Undeliverable, but only the event says so: what is asked of it is answered as before."""
        v, now = claim.verification, self._clock.now()
        kind = EventType.GUARD_BLOCKED if refusing else EventType.VERIFICATION_UNDELIVERABLE
        event = audit.of_verification(kind, v, now, actor=_ACTOR, reason=reason)
        event |= refusing.to_event() if refusing else {}
        word = await self._store.withhold(claim, reason, event)
        if word == "changed":
            return await self._reload(claim)
        if word == "ok":
            await self._tell_closed(v, Close(Status.UNDELIVERABLE, reason))
        return Progress(v.changed(withheld=reason), v.expires_at if word == "ok" else None)

    async def _take_back(self, v: Verification) -> bool:
        """Cancel what Telnyx still holds of a notice that ends before its time (a STOP came);
        ``False``: nothing is known, ask again."""
        held = v.scheduled
        if held is None or held.message_id is None or self._clock.now() >= v.send_at:
            return True
        return await self._telnyx.cancel(held.message_id) is not Cancellation.UNKNOWN

    async def _take_back_if_closed(self, v: Verification) -> None:
        """It may have been canceled while its POST was on its way."""
        fresh = await self._store.get(v.id)
        if fresh is None or fresh.status is not Status.PENDING:
            await self._take_back(v)

    async def _reload(self, claim: Claim) -> Claim | Progress:
        """New facts came in under the lease: look at all of them again."""
        fresh = await self._store.get(claim.verification.id)
        if fresh is None or fresh.status is not Status.PENDING:
            return Progress(fresh or claim.verification)
        return claim.on(fresh)

    def _webhook_url(self, id_: str, number: int) -> str:
        reference = f"{id_}.{number}"
        return f"{self._messages.public_url}/webhooks/telnyx/{reference}.{self._keyring.tag(reference)}"


def _probing(begin: Begin, route: str) -> Begin:
    """The same as the one message that tries whether a route's breaker may close."""
    others = [other for other in begin.routes if other != route]
    return replace(begin, delivery=replace(begin.delivery, probe=route), routes=others)


def _tell(note: Note | None, decision: Decision) -> None:
    if note is not None:
        kind = type(decision).__name__.lower()
        note("decision", {"decision": kind, "reason": decision.reason})


def _of_outcome(outcome: Outcome) -> dict[str, str]:
    errors = () if isinstance(outcome, Accepted) else outcome.errors
    codes = " ".join(error.code for error in errors)
    return {"outcome": type(outcome).__name__.lower(), "errors": codes}
