"""The guard: rules and limits that a start passes before anything is sent. A refused start counts
against no limit, and leaves exactly one ``guard.blocked`` event."""

from collections.abc import Mapping
from dataclasses import dataclass

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
)
from service.domain.guard import Exceeded, LimitKey, Limits, Standing, shared_limits
from service.domain.pumping import Tracked
from service.domain.recipient import Recipient
from service.domain.rules import Action, Finding, Rule, Rules
from service.flow.pumping import Judged, Message, Pumping
from service.flow.spending import Spending
from service.store.limits import LimitStore
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
    has_code: bool = True

    def blocked(self, at: int) -> Event:
        """The event of a refusal, without the rule and its figures."""
        return audit.of_blocked(
            self.recipient,
            self.recipient_id,
            app=self.app,
            purpose=self.purpose,
            at=at,
            actor=self.actor,
        )


@dataclass(frozen=True, slots=True)
class Passed:
    """What a start counted against, how those limits stand, and what the rules have to say of it."""

    counted: tuple[LimitKey, ...]
    standings: tuple[Standing, ...]
    findings: tuple[dict[str, object], ...]
    judged: Judged | None = None
    price: int | None = None

    @property
    def tracked(self) -> Tracked | None:
        return self.judged.tracked if self.judged is not None else None


class Guard:
    """Judges starts."""

    def __init__(
        self,
        *,
        store: LimitStore,
        limits: Limits,
        rules: Rules,
        pumping: Pumping,
        spending: Spending,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._pumping = pumping
        self._spending = spending
        self._limits = limits
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
        findings = self._rules.judge(subject.recipient)
        blocking = [finding for finding in findings if finding.action is Action.BLOCK]
        if not has_route:
            blocking.append(Finding(Rule.COUNTRY, subject.recipient.country, Action.BLOCK))
        for finding in blocking[:1] or findings:
            self._metrics.guard(finding.rule, finding.action)
        if blocking:
            await self._refused(subject, blocking[0].to_event())
            raise _not_allowed(blocking[0])
        passed = await self._count(subject, [finding.to_event() for finding in findings])
        await self._reserve(subject, passed)
        return passed

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

    async def _count(self, subject: Subject, findings: list[dict[str, object]]) -> Passed:
        keys = shared_limits(
            self._limits,
            app=subject.app,
            client_ip=subject.client_ip,
            prefix=subject.recipient.prefix,
            country=subject.recipient.country,
            limit_keys=subject.limit_keys,
        )
        now = self._clock.now()
        if subject.client_ip is None and self._limits.client_ip:
            self._without_client_ip(subject.app, now)
        message = self._message(subject)
        calls = self._pumping.calls(message) if message is not None else []
        pricing = self._spending.calls(subject.recipient)
        taken, found = await self._store.take_with(keys, subject.id, now, [*calls, *pricing])
        replies, price = found[: len(calls)], self._spending.price(found[len(calls) :])
        if isinstance(taken, Exceeded):
            await self._store.give_back(keys, subject.id)
            if message is not None:
                await self._pumping.uncount(message, replies)
            await self._refused(
                subject,
                {
                    "rule": "limit",
                    "limit": taken.limit,
                    "count": taken.window.count,
                    "window": taken.window.seconds,
                    "retry_after": taken.retry_after,
                },
            )
            raise self.used_up(taken)
        if message is None:
            return Passed(keys, taken, tuple(findings), price=price)
        try:
            judged = await self._pumping.judge(message, replies, subject.blocked(now))
        except SuspectedFraudError:
            await self._store.give_back(keys, subject.id)
            raise
        if finding := judged.to_finding():
            findings.append(finding)
        return Passed(keys, taken, tuple(findings), judged, price)

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


def _not_allowed(finding: Finding) -> CountersignError:
    if finding.rule is Rule.COUNTRY:
        return CountryNotAllowedError(
            f"No code is sent to the country {finding.value}: no route covers it, or a rule blocks it.",
            {"country": finding.value},
        )
    return NumberTypeNotAllowedError(
        f"The number is of the type {finding.value}, which gets no codes.",
        {"number_type": finding.value},
    )
