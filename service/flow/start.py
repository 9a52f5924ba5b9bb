"""Start: route, guard, create; then ``advance`` within the caller's budget."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from service.clock import Clock
from service.domain import audit
from service.domain.audit import EventType
from service.domain.code import SALT_BYTES, Code
from service.domain.errors import (
    InvalidRequestError,
    RecipientOptedOutError,
    UnavailableError,
)
from service.domain.guard import Exceeded, Limits, Standing
from service.domain.guess_budget import GuessBudget
from service.domain.keyring import Keyring
from service.domain.ordering import Place, Why
from service.domain.plan import Route, Sender, is_fixed, plan_for, unknown_senders
from service.domain.recipient import Recipient
from service.domain.text import TextError, Transaction, compose, with_stop_text
from service.domain.verification import Accepted, Notice, Reason, Status, Verification
from service.flow.advance import Advance
from service.flow.guard import Guard, Passed, Subject
from service.flow.hashing import HashPool
from service.flow.idempotency import Idempotency, Idempotent
from service.flow.ordering import Ordering
from service.flow.tasks import SEND_BUDGET, Tasks
from service.store.keys import NOTICE, VERIFICATION, new_id
from service.store.reservations import KEEP
from service.store.verifications import Claim, Exists, OptedOut, VerificationStore
from service.telemetry import Metrics
from service.tracing import Name, span

_CHOSEN = {Why.REQUESTED, Why.FIXED, Why.STICKY}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What a caller asks for. ``ttl`` is in milliseconds; ``client_ip`` is the end user's address."""

    app: str
    actor: str
    recipient: Recipient
    purpose: str
    code_length: int
    ttl: int
    senders: tuple[str, ...] | None = None
    locale: str | None = None
    client_ip: str | None = None
    limit_keys: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    app_hash: str | None = None
    transaction: Transaction | None = None
    nonce: str | None = None
    notice: Notice | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    callback_url: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """``standings``: how the limits stand that it counted against. ``replayed``: an earlier request with
    the same Idempotency-Key started it."""

    verification: Verification
    standings: tuple[Standing, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Senders by name, and routes in order."""

    senders: Mapping[str, Sender]
    routes: Sequence[Route]
    attempts: int
    resend_after: int
    app_name: str


class Start:
    """Starts verifications, and security notices, which go the same way without a code."""

    def __init__(
        self,
        *,
        store: VerificationStore,
        idempotent: Idempotent,
        guard: Guard,
        advance: Advance,
        tasks: Tasks,
        hashing: HashPool,
        keyring: Keyring,
        routing: Routing,
        ordering: Ordering,
        limits: Limits,
        budget: GuessBudget,
        clock: Clock,
        metrics: Metrics,
        uniform: bool = False,
    ) -> None:
        """``uniform``: verifications are answered alike, whatever is known of their recipient."""
        self._store = store
        self._idempotent = idempotent
        self._guard = guard
        self._advance = advance
        self._tasks = tasks
        self._hashing = hashing
        self._keyring = keyring
        self._routing = routing
        self._ordering = ordering
        self._limits = limits
        self._budget = budget
        self._clock = clock
        self._metrics = metrics
        self._uniform = uniform

    async def __call__(self, request: StartRequest, idempotency: Idempotency | None) -> Started:
        """Start a verification, or give the one that the same Idempotency-Key started.

        Raises:
            CountersignError: whatever refuses a start; nothing was created then.
        """
        plan = self._plan(request)
        if request.notice is None:
            self._check_text(request)
        plan = self._with_room(plan, request)
        recipient_id = self._keyring.lookup_id(request.recipient.e164)
        id_ = new_id(recipient_id, VERIFICATION if request.notice is None else NOTICE)
        if idempotency is None:
            return await self._start(request, id_, recipient_id, plan)

        async def start(reserved: str) -> Started:
            return await self._start(request, reserved, recipient_id, plan, keep=KEEP)

        async def replay(done: str) -> Started:
            return Started(await self._read(done), replayed=True)

        return await self._idempotent(request.app, idempotency, id_, start=start, replay=replay)

    async def _start(
        self,
        request: StartRequest,
        id_: str,
        recipient_id: str,
        plan: tuple[Sender, ...],
        *,
        keep: int = 0,
    ) -> Started:
        with span(Name.START, id_, app=request.app, purpose=request.purpose):
            return await self._make(request, id_, recipient_id, plan, keep)

    async def _make(
        self,
        request: StartRequest,
        id_: str,
        recipient_id: str,
        plan: tuple[Sender, ...],
        keep: int,
    ) -> Started:
        self._hashing.check_start()
        subject = Subject(
            id=id_,
            app=request.app,
            actor=request.actor,
            purpose=request.purpose,
            recipient=request.recipient,
            recipient_id=recipient_id,
            client_ip=request.client_ip,
            limit_keys=request.limit_keys,
            has_code=request.notice is None,
        )
        uniform = self._uniform and request.notice is None
        judge = self._guard.weigh if uniform else self._guard.check
        passed = await judge(subject, has_route=bool(plan))
        places = self._in_order(plan, request, passed)
        v = self._verification(request, id_, recipient_id, places, passed)
        created = await self._create(v, subject, passed, keep, order=self._ordering.tell(places))
        if uniform:
            # Read before anything is done about it: the answer is the same whatever that will be.
            answer = Started(await self._read(id_), passed.standings)
            self._follow(created, subject, passed)
            return answer
        if isinstance(created, Exceeded | OptedOut):
            await self._refuse(created, subject, passed)
        if isinstance(created, Exists):
            await self._guard.counted_twice(passed)
        if isinstance(created, Claim):
            self._metrics.started(v.country, v.purpose)
            await self._first_message(created)
        return Started(await self._read(id_), passed.standings)

    def _follow(
        self, created: Claim | Exceeded | OptedOut | Exists, subject: Subject, passed: Passed
    ) -> None:
        """All that may take its time, or not be there at all, where answers are uniform."""
        if not isinstance(created, Claim):
            self._tasks.after_answer(lambda: self._guard.counted_twice(passed))
            return
        v = created.verification
        if v.withheld is None:
            self._metrics.started(v.country, v.purpose)
        else:
            self._metrics.withheld(v.withheld)
        self._tasks.after_answer(lambda: self._advance.run(created))
        is_withheld = v.withheld is not None
        self._tasks.after_answer(
            lambda: self._guard.settle(subject, passed, is_withheld=is_withheld)
        )

    async def _create(
        self,
        v: Verification,
        subject: Subject,
        passed: Passed,
        keep: int,
        *,
        order: Mapping[str, object],
    ) -> Claim | Exceeded | OptedOut | Exists:
        created_event = audit.of_verification(
            EventType.VERIFICATION_CREATED, v, v.created_at, actor=subject.actor
        ) | {"plan": [sender.name for sender in v.plan], **order}
        if passed.findings:
            created_event["guard"] = list(passed.findings)
        blocked = subject.blocked(v.created_at) | dict(
            passed.refusal.fields if passed.refusal else {}
        )
        superseded = audit.of_verification(
            EventType.VERIFICATION_CANCELED,
            v,
            v.created_at,
            actor=subject.actor,
            reason=Reason.SUPERSEDED,
        ) | {"superseded_by": v.id}
        salt = secrets.token_bytes(SALT_BYTES)
        return await self._store.create(
            v,
            salt,
            self._limits.recipient,
            event=created_event,
            superseded=superseded,
            blocked=blocked,
            keep=keep,
        )

    async def _refuse(
        self, created: Exceeded | OptedOut, subject: Subject, passed: Passed
    ) -> NoReturn:
        await self._guard.give_back(subject, passed)
        if isinstance(created, Exceeded):
            raise self._guard.used_up(created)
        raise RecipientOptedOutError(
            "The recipient asked for no more messages; they can text START to any sender."
        )

    async def _first_message(self, claim: Claim) -> None:
        """Wait until the first message is accepted, at most the budget; the work goes on after it."""
        await self._tasks.within(self._until_accepted(claim), SEND_BUDGET)

    async def _until_accepted(self, claim: Claim) -> None:
        end = self._clock.now() + SEND_BUDGET
        progress = await self._advance.run(claim)
        while (
            progress.due_at is not None
            and progress.due_at < end
            and not _is_accepted(progress.verification)
        ):
            await self._clock.sleep(max(progress.due_at - self._clock.now(), 0))
            following = await self._advance(claim.verification.id)
            if following is None:  # A worker was faster, and goes on with it.
                return
            progress = following

    async def _read(self, id_: str) -> Verification:
        v = await self._store.get(id_)
        if v is None:
            raise UnavailableError("The verification was lost by the store; start again.", 1)
        return v

    def _plan(self, request: StartRequest) -> tuple[Sender, ...]:
        """The senders in order; none where no route covers the country, which the guard refuses."""
        names = plan_for(request.recipient.country, self._routing.routes)
        if request.senders is not None:
            unknown = unknown_senders(request.senders, self._routing.senders)
            if unknown:
                raise InvalidRequestError.at("/senders", "names a sender that is not configured")
        if names is None:
            return ()
        plan = tuple(self._routing.senders[name] for name in request.senders or names)
        return _able_to_say(plan, request)

    def _in_order(
        self, plan: tuple[Sender, ...], request: StartRequest, passed: Passed
    ) -> tuple[Place, ...]:
        country, given = request.recipient.country, None
        if request.senders is not None:
            given = Why.REQUESTED
        elif is_fixed(country, self._routing.routes):
            given = Why.FIXED
        return self._ordering.order(
            plan,
            country,
            given=given,
            sticky=passed.last_sender,
            explores=request.notice is None,  # Nothing can be proven of a notice.
        )

    def _check_text(self, request: StartRequest) -> None:
        """Refuse before anything is created what could not be sent in one segment."""
        try:
            self._compose(request, None)
        except TextError as error:
            pointer = "/transaction" if request.transaction else "/web_origin"
            raise InvalidRequestError.at(pointer, f"makes a text that {error}") from None

    def _with_room(self, plan: tuple[Sender, ...], request: StartRequest) -> tuple[Sender, ...]:
        """The senders whose text has room for what it must say of stopping: without it, it may not go."""
        country = request.recipient.country
        able = tuple(s for s in plan if self._has_room(request, s.stop_text_in(country)))
        if plan and not able:
            raise InvalidRequestError.at(
                "/senders", "leaves no sender whose stop_text fits into the segment with this text"
            )
        return able

    def _has_room(self, request: StartRequest, stop_text: str | None) -> bool:
        try:
            self._compose(request, stop_text)
        except TextError:
            return False
        return True

    def _compose(self, request: StartRequest, stop_text: str | None) -> str:
        if request.notice is not None:
            return with_stop_text(request.notice.text, stop_text)
        return compose(
            Code("0" * request.code_length),
            self._routing.app_name,
            host=request.host,
            app_hash=request.app_hash,
            transaction=request.transaction,
            stop_text=stop_text,
        )

    def _verification(
        self,
        request: StartRequest,
        id_: str,
        recipient_id: str,
        places: tuple[Place, ...],
        passed: Passed,
    ) -> Verification:
        now = self._clock.now()
        send_at = request.notice.send_at if request.notice else 0
        return Verification(
            id=id_,
            app=request.app,
            purpose=request.purpose,
            country=request.recipient.country,
            masked=request.recipient.masked,
            recipient_id=recipient_id,
            sealed=self._keyring.seal(request.recipient.e164),
            key_id=self._keyring.newest,
            plan=tuple(place.sender for place in places),
            chosen=bool(places) and places[0].why in _CHOSEN,
            created_at=now,
            expires_at=max(now, send_at) + request.ttl,
            attempts_allowed=self._routing.attempts,
            code_length=request.code_length,
            locale=request.locale,
            host=request.host,
            app_hash=request.app_hash,
            transaction=request.transaction,
            nonce=request.nonce,
            notice=request.notice,
            metadata=request.metadata,
            clients=self._budget.clients(
                self._keyring.digest,
                app=request.app,
                recipient_id=recipient_id,
                client_ip=request.client_ip,
                limit_keys=request.limit_keys,
            ),
            callback_url=request.callback_url,
            tracked=passed.tracked,
            withheld=passed.refusal.reason if passed.refusal else None,
            price=passed.price,
            resend_after=now + self._routing.resend_after,
        )


def _able_to_say(plan: tuple[Sender, ...], request: StartRequest) -> tuple[Sender, ...]:
    """The senders that can carry the message: a WhatsApp authentication template takes a code and
    nothing else, neither payee and amount nor the text of a notice."""
    if request.transaction is None and request.notice is None:
        return plan
    able = tuple(sender for sender in plan if sender.kind.is_sms)
    if not able:
        said = "a notice" if request.notice else "payee and amount"
        raise InvalidRequestError.at("/senders", f"leaves only WhatsApp, which cannot say {said}")
    return able


def _is_accepted(v: Verification) -> bool:
    return v.status is not Status.PENDING or any(
        isinstance(d.outcome, Accepted) or d.reports for d in v.deliveries
    )
