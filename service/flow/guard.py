"""The guard: rules and limits that a start passes before anything is sent. A refused start counts
against no limit, and leaves exactly one ``guard.blocked`` event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from service.clock import Clock
from service.domain import audit
from service.domain.audit import Event
from service.domain.errors import (
    CountersignError,
    CountryNotAllowedError,
    NumberTypeNotAllowedError,
    RateLimitedError,
    SuspectedFraudError,
    UnavailableError,
)
from service.domain.guard import (
    Exceeded,
    LimitKey,
    Limits,
    Standing,
    is_of_caller,
    last_free,
    shared_limits,
)
from service.domain.pumping import Tracked
from service.domain.recipient import Recipient
from service.domain.rules import Action, Finding, Rule, Rules
from service.domain.verification import Reason
from service.flow.lookups import REASONS, Lookups
from service.flow.ordering import Ordering
from service.flow.pumping import Judged, Message, Pumping
from service.flow.spending import Spending
from service.store.limits import LimitStore
from service.store.scripts import Call, Reply
from service.telemetry import Metrics

_WARN_EVERY = 60_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the guard looks at. ``id`` is what the start will create: a retry of it counts once."""

    id: str
    app: str
    actor: str
    purpose: str
    recipient: Recipient
    recipient_id: str
    client_ip: str | None
    limit_keys: Mapping[str, str]
    limits: Limits
    has_code: bool = True
    test: bool = False
    segments: int = 1

    def blocked(self, at: int) -> Event:
        """The event of a refusal, without the rule and its figures."""
        return audit.of_blocked(
            self.recipient,
            self.recipient_id,
            app=self.app,
            purpose=self.purpose,
            at=at,
            actor=self.actor,
            test=self.test,
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is sent, and the fields of the event that says so."""

    reason: Reason
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Passed:
    """What a start counted against, how those limits stand, and what the rules have to say of it. With a
    ``refusal`` it is answered as if it had passed, and withheld."""

    counted: tuple[LimitKey, ...]
    standings: tuple[Standing, ...]
    findings: tuple[dict[str, object], ...]
    judged: Judged | None = None
    refusal: Refusal | None = None
    price: int | None = None
    last_sender: str | None = None

    @property
    def tracked(self) -> Tracked | None:
        return self.judged.tracked if self.judged is not None else None


UNGUARDED = Passed((), (), ())
"""Of a start that sends nothing."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a start asks of the store beside its limits, in the same round trip."""

    pumping: list[Call]
    price: list[Call]
    last_sender: list[Call]

    @property
    def calls(self) -> list[Call]:
        return [*self.pumping, *self.price, *self.last_sender]


class Guard:
    """Judges starts."""

    def __init__(
        self,
        *,
        store: LimitStore,
        rules: Rules,
        pumping: Pumping,
        lookups: Lookups | None,
        spending: Spending,
        ordering: Ordering,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """``lookups``: ``None`` where nobody is looked up."""
        self._store = store
        self._pumping = pumping
        self._lookups = lookups
        self._spending = spending
        self._ordering = ordering
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self._warn_at = 0

    async def check(self, subject: Subject, *, has_route: bool) -> Passed:
        """Let a start pass, and count it against all limits but the recipient's.

        Raises:
            CountryNotAllowedError, NumberTypeNotAllowedError, RateLimitedError, SuspectedFraudError: it is
                refused.
        """
        blocking, findings = self._look(subject, has_route=has_route)
        if blocking is not None:
            await self._refused(subject, blocking.to_event())
            raise _not_allowed(blocking)
        passed = await self._count(subject, [finding.to_event() for finding in findings])
        if self._lookups is not None:
            passed = await self._look_up(self._lookups, subject, passed)
        await self._reserve(subject, passed)
        return passed

    async def weigh(self, subject: Subject, *, has_route: bool) -> Passed:
        """As ``check``, for uniform answers: only the caller's own limits refuse. What depends on the
        recipient is ``withheld``, and costs the same round trip; ``settle`` does the rest later.

        Raises:
            RateLimitedError: a limit of the caller itself is used up.
        """
        blocking, findings = self._look(subject, has_route=has_route)
        keys, now, message = self._keys(subject), self._clock.now(), self._message(subject)
        asked = self._asked(subject, message)
        taken, found = await self._store.take_each(keys, subject.id, now, asked.calls)
        replies, price, last_sender = self._answered(asked, found, subject.segments)
        standings = tuple(one for one in taken if isinstance(one, Standing))
        exceeded = [one for one in taken if isinstance(one, Exceeded)]
        if own := [one for one in exceeded if is_of_caller(one.limit)]:
            raise await self._over(subject, keys, message, replies, last_free(own))
        judged = self._pumping.look(message, replies) if message is not None else None
        refusal = None
        if blocking is not None:
            refusal = Refusal(REASONS[blocking.rule], blocking.to_event())
        elif exceeded:
            self._metrics.limited(last_free(exceeded).limit)
            refusal = Refusal(Reason.RATE_LIMITED, _limit_fields(last_free(exceeded)))
        elif judged is not None and (fields := self._pumping.refusal(judged)) is not None:
            refusal = Refusal(Reason.SUSPECTED_FRAUD, fields)
        marks = [finding.to_event() for finding in findings]
        if judged is not None and (suspected := judged.to_finding()):
            marks.append(suspected)
        return Passed(keys, standings, tuple(marks), judged, refusal, price, last_sender)

    async def settle(self, subject: Subject, passed: Passed, *, is_withheld: bool) -> None:
        """What ``weigh`` left to be written: what sends nothing counts against the caller's limits alone."""
        if passed.judged is not None:
            if passed.refusal is None or passed.refusal.reason is Reason.SUSPECTED_FRAUD:
                await self._pumping.act(passed.judged)
                if is_withheld:
                    await self._pumping.give_back(passed.judged)
            else:
                await self._pumping.uncount(passed.judged)
        if is_withheld:
            keys = [key for key in passed.counted if not is_of_caller(key.limit)]
            await self._store.give_back(keys, subject.id)

    def _look(
        self, subject: Subject, *, has_route: bool
    ) -> tuple[Finding | None, tuple[Finding, ...]]:
        """The rule that blocks, if one does, and what all rules have to say."""
        findings = self._rules.judge(subject.recipient)
        blocking = [finding for finding in findings if finding.action is Action.BLOCK]
        if not has_route:
            blocking.append(Finding(Rule.COUNTRY, subject.recipient.country, Action.BLOCK))
        for finding in blocking[:1] or findings:
            self._metrics.guard(finding.rule, finding.action)
        return (blocking[0] if blocking else None), findings

    async def _look_up(self, lookups: Lookups, subject: Subject, passed: Passed) -> Passed:
        """A look-up is paid for, so the limits keep what a start counted that it refuses."""
        found = await lookups.judge(subject.recipient, subject.recipient_id)
        if found and found[0].action is Action.BLOCK:
            await self.counted_twice(passed)
            await self._refused(subject, found[0].to_event())
            raise _not_allowed(found[0])
        marks = tuple(finding.to_event() for finding in found)
        return replace(passed, findings=passed.findings + marks)

    async def give_back(self, subject: Subject, passed: Passed) -> None:
        """A script of the recipient's refused the start after all, and wrote the event."""
        await self._store.give_back(passed.counted, subject.id)
        await self._spending.give_back_start(subject.id, subject.app, subject.recipient.country)
        await self.counted_twice(passed)

    async def counted_twice(self, passed: Passed) -> None:
        """An earlier try of the same start created it. The limits know its id, the tallies do not."""
        if passed.judged is not None:
            await self._pumping.give_back(passed.judged)

    def used_up(self, exceeded: Exceeded) -> RateLimitedError:
        """What to raise where a limit is used up."""
        self._metrics.limited(exceeded.limit)
        return RateLimitedError.of(exceeded)

    async def _reserve(self, subject: Subject, passed: Passed) -> None:
        country = subject.recipient.country
        over = await self._spending.reserve_start(subject.id, subject.app, country, passed.price)
        if over is not None:
            await self.give_back(subject, passed)
            await self._refused(subject, self._spending.figures(over))
            self._metrics.limited(over.limit)
            raise RateLimitedError(over.limit, over.retry_after / 1000)

    def _keys(self, subject: Subject) -> tuple[LimitKey, ...]:
        if subject.client_ip is None and subject.limits.client_ip:
            self._without_client_ip(subject.app, self._clock.now())
        return shared_limits(
            subject.limits,
            app=subject.app,
            client_ip=subject.client_ip,
            prefix=subject.recipient.prefix,
            country=subject.recipient.country,
            limit_keys=subject.limit_keys,
        )

    async def _count(self, subject: Subject, findings: list[dict[str, object]]) -> Passed:
        keys, now, message = self._keys(subject), self._clock.now(), self._message(subject)
        asked = self._asked(subject, message)
        taken, found = await self._store.take_with(keys, subject.id, now, asked.calls)
        replies, price, last_sender = self._answered(asked, found, subject.segments)
        if isinstance(taken, Exceeded):
            raise await self._over(subject, keys, message, replies, taken)
        if message is None:
            return Passed(keys, taken, tuple(findings), price=price, last_sender=last_sender)
        try:
            judged = await self._pumping.judge(message, replies, lambda: subject.blocked(now))
        except SuspectedFraudError:
            await self._store.give_back(keys, subject.id)
            raise
        if finding := judged.to_finding():
            findings.append(finding)
        return Passed(keys, taken, tuple(findings), judged, price=price, last_sender=last_sender)

    def _asked(self, subject: Subject, message: Message | None) -> _Asked:
        return _Asked(
            pumping=self._pumping.calls(message) if message is not None else [],
            price=self._spending.calls(subject.recipient),
            last_sender=self._ordering.calls(subject.recipient_id, subject.app),
        )

    def _answered(
        self, asked: _Asked, found: list[Reply], segments: int
    ) -> tuple[list[Reply], int | None, str | None]:
        pumping, rest = found[: len(asked.pumping)], found[len(asked.pumping) :]
        price = self._spending.price(rest[: len(asked.price)], segments)
        return pumping, price, self._ordering.last_sender(rest[len(asked.price) :])

    async def _over(
        self,
        subject: Subject,
        keys: tuple[LimitKey, ...],
        message: Message | None,
        replies: Sequence[Reply],
        exceeded: Exceeded,
    ) -> RateLimitedError:
        """A limit refuses the start: nothing else counts it."""
        await self._store.give_back(keys, subject.id)
        if message is not None:
            await self._pumping.uncount(self._pumping.look(message, replies))
        await self._refused(subject, _limit_fields(exceeded))
        return self.used_up(exceeded)

    def _message(self, subject: Subject) -> Message | None:
        if not subject.has_code:  # Nothing can be proven of a notice.
            return None
        return self._pumping.of_start(
            subject.recipient, subject.recipient_id, app=subject.app, client_ip=subject.client_ip
        )

    async def _refused(self, subject: Subject, fields: Mapping[str, object]) -> None:
        event = subject.blocked(self._clock.now()) | dict(fields)
        await self._store.record_blocked(subject.recipient_id, event)

    def _without_client_ip(self, app: str, now: int) -> None:
        self._metrics.without_client_ip()
        if now >= self._warn_at:
            self._warn_at = now + _WARN_EVERY
            log.warning(
                "start.without_client_ip",
                app=app,
                fix="send client_ip, the end user's address: without it all starts of the app share "
                "the limit without_client_ip",
            )


def _limit_fields(exceeded: Exceeded) -> dict[str, object]:
    return {
        "rule": "limit",
        "limit": exceeded.limit,
        "count": exceeded.window.count,
        "window": exceeded.window.seconds,
        "retry_after": exceeded.retry_after,
    }


def _not_allowed(finding: Finding) -> CountersignError:
    match finding.rule:
        case Rule.COUNTRY:
            return CountryNotAllowedError(
                f"No code is sent to the country {finding.value}: no route covers it, or a rule blocks "
                "it.",
                {"country": finding.value},
            )
        case Rule.NUMBER_TYPE:
            return NumberTypeNotAllowedError(
                f"The number is of the type {finding.value}, which gets no codes.",
                {"number_type": finding.value},
            )
        case Rule.RECENTLY_PORTED:
            return NumberTypeNotAllowedError(
                "The number changed its carrier lately, and gets no codes for now.",
                {"number_type": finding.rule},
            )
        case Rule.LOOKUP:
            return UnavailableError("The type of the number could not be looked up.", 5)
