"""Start: route, guard, create; then ``advance`` within the caller's budget."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from service.clock import Clock
from service.domain import audit
from service.domain.app import App, open_code
from service.domain.audit import EventType
from service.domain.code import MIN_BITS, SALT_BYTES, Alphabet, Code
from service.domain.errors import (
    InvalidRequestError,
    RecipientOptedOutError,
    UnavailableError,
)
from service.domain.guard import Exceeded, Limits, Standing
from service.domain.guess_budget import GuessBudget
from service.domain.keyring import Keyring
from service.domain.notice import complete_notice
from service.domain.ordering import Place, Why
from service.domain.plan import Route, Sender, is_fixed, plan_for, unknown_senders
from service.domain.recipient import Recipient
from service.domain.segments import measure
from service.domain.text import TextError
from service.domain.texts import Texts
from service.domain.transaction import Transaction
from service.domain.verification import Accepted, Notice, Status, Verification
from service.flow.advance import Advance, Draft
from service.flow.guard import UNGUARDED, Guard, Passed, Subject
from service.flow.hashing import HashPool
from service.flow.idempotency import Idempotency, Idempotent
from service.flow.ordering import Ordering
from service.flow.tasks import SEND_BUDGET, Tasks
from service.store.apps import AppStore
from service.store.keys import NOTICE, VERIFICATION, new_id
from service.store.reservations import KEEP
from service.store.verifications import Claim, Exists, OptedOut, VerificationStore
from service.telemetry import Metrics
from service.tracing import Name, span

_CHOSEN = {Why.REQUESTED, Why.FIXED, Why.STICKY}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What a caller asks for. ``ttl`` is in milliseconds; ``client_ip`` is the end user's address. What is
    ``None`` is the app's, or else the configuration's."""

    app: str
    actor: str
    recipient: Recipient
    purpose: str
    code_length: int | None = None
    ttl: int | None = None
    alphabet: Alphabet = Alphabet.DIGITS
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


@dataclass(frozen=True, slots=True)
class _Way:
    """Who may send what a start asks for, in the configured order, and the segments of the longest message
    among theirs: each is paid for."""

    app: App
    plan: tuple[Sender, ...]
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Senders by name, routes in order, and what a start has where neither it nor its app says more.
    Durations are milliseconds."""

    senders: Mapping[str, Sender]
    routes: Sequence[Route]
    attempts: int
    resend_after: int
    code_length: int
    ttl: int


class Start:
    """Starts verifications, and security notices, which go the same way without a code."""

    def __init__(
        self,
        *,
        store: VerificationStore,
        apps: AppStore,
        idempotent: Idempotent,
        guard: Guard,
        advance: Advance,
        tasks: Tasks,
        hashing: HashPool,
        keyring: Keyring,
        routing: Routing,
        texts: Texts,
        ordering: Ordering,
        limits: Limits,
        budget: GuessBudget,
        clock: Clock,
        metrics: Metrics,
        uniform: bool = False,
    ) -> None:
        """``texts``: the wordings that apps have in common. ``uniform``: verifications are answered alike,
        whatever is known of their recipient."""
        self._store = store
        self._apps = apps
        self._idempotent = idempotent
        self._guard = guard
        self._advance = advance
        self._tasks = tasks
        self._hashing = hashing
        self._keyring = keyring
        self._routing = routing
        self._texts = texts
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
        app = await self._apps.get(request.app)
        texts, plan = app.texts_over(self._texts), self._plan(request, app)
        if request.notice is None:
            self._check_text(request, app, texts)
        way = self._with_room(plan, request, app, texts)
        recipient_id = self._keyring.lookup_id(request.recipient.e164)
        id_ = new_id(recipient_id, VERIFICATION if request.notice is None else NOTICE)
        if idempotency is None:
            return await self._start(request, way, id_, recipient_id)

        async def start(reserved: str) -> Started:
            return await self._start(request, way, reserved, recipient_id, keep=KEEP)

        async def replay(done: str) -> Started:
            return Started(await self._read(done), replayed=True)

        return await self._idempotent(request.app, idempotency, id_, start=start, replay=replay)

    async def _start(
        self,
        request: StartRequest,
        way: _Way,
        id_: str,
        recipient_id: str,
        *,
        keep: int = 0,
    ) -> Started:
        with span(Name.START, id_, app=request.app, purpose=request.purpose):
            return await self._make(request, way, id_, recipient_id, keep=keep)

    async def _make(
        self,
        request: StartRequest,
        way: _Way,
        id_: str,
        recipient_id: str,
        *,
        keep: int,
    ) -> Started:
        self._hashing.check_start()
        app = way.app
        fixed, has_code = self._fixed_code(app, recipient_id), request.notice is None
        subject = Subject(
            id=id_,
            app=request.app,
            actor=request.actor,
            purpose=request.purpose,
            recipient=request.recipient,
            recipient_id=recipient_id,
            client_ip=request.client_ip,
            limit_keys=request.limit_keys,
            limits=app.limits_over(self._limits),
            has_code=has_code,
            test=fixed is not None,
            segments=way.segments,
        )
        uniform = self._uniform and has_code
        judge = self._guard.weigh if uniform else self._guard.check
        # The guard is about what is sent.
        passed = UNGUARDED if subject.test else await judge(subject, has_route=bool(way.plan))
        places = self._in_order(way.plan, request, app, passed)
        v = self._verification(request, app, subject, places, passed)
        salt = secrets.token_bytes(SALT_BYTES)
        draft = None if uniform else await self._advance.draft(v, salt)
        digest = await self._advance.digest(v, salt, fixed) if fixed and has_code else b""
        order = self._ordering.tell(places)
        created = await self._create(
            v, salt, subject, passed, order=order, draft=draft, digest=digest, keep=keep
        )
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
            self._metrics.started(v)
            sent = await self._tasks.within(self._until_accepted(created, draft), SEND_BUDGET)
            if sent is not None:
                return Started(sent, passed.standings)
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
            self._metrics.started(v)
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
        salt: bytes,
        subject: Subject,
        passed: Passed,
        *,
        order: Mapping[str, object],
        draft: Draft | None,
        digest: bytes,
        keep: int,
    ) -> Claim | Exceeded | OptedOut | Exists:
        created_event = audit.of_verification(
            EventType.VERIFICATION_CREATED, v, v.created_at, actor=subject.actor
        ) | {"plan": [sender.name for sender in v.plan], **order}
        if passed.findings:
            created_event["guard"] = list(passed.findings)
        return await self._store.create(
            v,
            salt,
            () if subject.test else subject.limits.recipient,
            limit_app=v.app if "recipient" in subject.limits.own else "",
            digest=digest,
            event=created_event,
            refused=passed.refusal.fields if passed.refusal else None,
            keep=keep,
            first=draft.begin if draft else None,
        )

    def _fixed_code(self, app: App, recipient_id: str) -> Code | None:
        """The code of a test number of the app; ``None`` for everybody else."""
        kept = app.test_numbers.get(recipient_id)
        return open_code(kept, app.id, recipient_id, self._keyring) if kept else None

    async def _refuse(
        self, created: Exceeded | OptedOut, subject: Subject, passed: Passed
    ) -> NoReturn:
        await self._guard.give_back(subject, passed)
        if isinstance(created, Exceeded):
            raise self._guard.used_up(created)
        raise RecipientOptedOutError(
            "The recipient asked for no more messages; they can text START to any sender."
        )

    async def _until_accepted(self, claim: Claim, draft: Draft | None) -> Verification | None:
        """Advance until the first message is accepted; ``None`` where others know better how it stands."""
        end = self._clock.now() + SEND_BUDGET
        progress = await self._advance.run(claim, draft)
        while (
            progress.due_at is not None
            and progress.due_at < end
            and not _is_accepted(progress.verification)
        ):
            await self._clock.sleep(max(progress.due_at - self._clock.now(), 0))
            following = await self._advance(claim.verification.id)
            if following is None:  # A worker was faster, and goes on with it.
                return None
            progress = following
        return progress.verification if progress.due_at is not None else None

    async def _read(self, id_: str) -> Verification:
        v = await self._store.get(id_)
        if v is None:
            raise UnavailableError("The verification was lost by the store; start again.", 1)
        return v

    def _plan(self, request: StartRequest, app: App) -> tuple[Sender, ...]:
        """The senders in order; none where no route covers the country, which the guard refuses."""
        senders = app.senders_among(self._routing.senders)
        names = plan_for(request.recipient.country, app.routes or self._routing.routes)
        if request.senders is not None:
            unknown = unknown_senders(request.senders, senders)
            if unknown:
                raise InvalidRequestError.at(
                    "/senders", "names a sender that is not configured, or not for this app"
                )
        if names is None:
            return ()
        plan = tuple(senders[name] for name in request.senders or names if name in senders)
        return _able_to_say(plan, request)

    def _in_order(
        self, plan: tuple[Sender, ...], request: StartRequest, app: App, passed: Passed
    ) -> tuple[Place, ...]:
        country, given = request.recipient.country, None
        if request.senders is not None:
            given = Why.REQUESTED
        elif is_fixed(country, app.routes or self._routing.routes):
            given = Why.FIXED
        return self._ordering.order(
            plan,
            country,
            app=app,
            given=given,
            sticky=passed.last_sender,
            explores=request.notice is None,  # Nothing can be proven of a notice.
        )

    def _check_text(self, request: StartRequest, app: App, texts: Texts) -> None:
        """Refuse before anything is created what could not be sent."""
        length = self._code_length(request, app)
        if not request.alphabet.allows(length):
            bits = request.alphabet.bits(length)
            raise InvalidRequestError.at(
                "/code_length", f"makes a code of {bits:.0f} bits; {MIN_BITS} are the least"
            )
        try:
            self._segments(request, app, texts, None)
        except TextError as error:
            pointer = "/transaction" if request.transaction else "/web_origin"
            raise InvalidRequestError.at(pointer, f"makes a text that {error}") from None

    def _with_room(
        self, plan: tuple[Sender, ...], request: StartRequest, app: App, texts: Texts
    ) -> _Way:
        """The senders whose text has room for what it must say of stopping: without it, it may not go."""
        country, segments = request.recipient.country, dict[str | None, int]()
        for stop_text in {sender.stop_text_in(country) for sender in plan}:
            with suppress(TextError):
                segments[stop_text] = self._segments(request, app, texts, stop_text)
        able = tuple(sender for sender in plan if sender.stop_text_in(country) in segments)
        if plan and not able:
            raise InvalidRequestError.at(
                "/senders", "leaves no sender whose stop_text fits into the segment with this text"
            )
        return _Way(app, able, max(segments.values(), default=1))

    def _segments(
        self, request: StartRequest, app: App, texts: Texts, stop_text: str | None
    ) -> int:
        """Of its message. Raises TextError if that is too long."""
        if request.notice is not None:
            return measure(complete_notice(request.notice.text, stop_text)).segments
        wording = texts.wording(
            Code(request.alphabet.characters[0] * self._code_length(request, app)),
            purpose=request.purpose,
            country=request.recipient.country,
            locale=request.locale,
            host=request.host,
            app_hash=request.app_hash,
            transaction=request.transaction,
            stop_text=stop_text,
        )
        return wording.segments

    def _code_length(self, request: StartRequest, app: App) -> int:
        return request.code_length or app.code_length or self._routing.code_length

    def _verification(
        self,
        request: StartRequest,
        app: App,
        subject: Subject,
        places: tuple[Place, ...],
        passed: Passed,
    ) -> Verification:
        now = self._clock.now()
        send_at = request.notice.send_at if request.notice else 0
        return Verification(
            id=subject.id,
            app=request.app,
            purpose=request.purpose,
            country=request.recipient.country,
            masked=request.recipient.masked,
            recipient_id=subject.recipient_id,
            sealed=self._keyring.seal(request.recipient.e164),
            key_id=self._keyring.newest,
            plan=tuple(place.sender for place in places),
            chosen=bool(places) and places[0].why in _CHOSEN,
            created_at=now,
            expires_at=max(now, send_at) + (request.ttl or app.ttl or self._routing.ttl),
            attempts_allowed=self._routing.attempts,
            code_length=self._code_length(request, app),
            # The code of a test number is digits, whatever others are made of.
            alphabet=Alphabet.DIGITS if subject.test else request.alphabet,
            locale=request.locale,
            host=request.host,
            app_hash=request.app_hash,
            transaction=request.transaction,
            bound=request.transaction.fingerprint if request.transaction else None,
            nonce=request.nonce,
            notice=request.notice,
            metadata=request.metadata,
            clients=self._budget.clients(
                self._keyring.digest,
                app=request.app,
                recipient_id=subject.recipient_id,
                client_ip=request.client_ip,
                limit_keys=request.limit_keys,
            ),
            callback_url=request.callback_url or (None if request.notice else app.callback_url),
            test=subject.test,
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
