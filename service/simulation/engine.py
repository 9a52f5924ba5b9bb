"""The engine: people log in, messages leave, arrive or get lost, are reported, and codes are typed in.

What is done is decided by ``decide`` and ``order`` as in the service; what surrounds them there (store,
leases, guard, limits) is not simulated. Evidence and quarantines follow once a simulated minute.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random

from service.domain.decide import Close, Policy, Reconcile, Send, Wait, decide
from service.domain.ordering import (
    HOURS,
    Evidence,
    OrderingPolicy,
    Why,
    as_given,
    evidence_of,
    order,
)
from service.domain.plan import Route, Sender, is_fixed, plan_for
from service.domain.quarantine import Quarantined, QuarantinePolicy, Watch, totals_of
from service.domain.stats import HOUR, TOGETHER, Counted, Row, Where, by_sender, count, increments
from service.domain.verification import (
    Accepted,
    Delivery,
    DeliveryStatus,
    Fault,
    Reason,
    Refused,
    Report,
    Status,
    Verification,
)
from service.simulation.model import Behaviour, Carrier, Country, Model, Spread

START = 1_800_000_000_000 // HOUR * HOUR
"""When it begins: an instant like any other."""
FOLLOWED = 60_000
_OPEN = {Status.PENDING, Status.UNDELIVERABLE}
_CHOSEN = {Why.STICKY, Why.FIXED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is tried out. Times in milliseconds."""

    senders: Mapping[str, Sender]
    routes: Sequence[Route]
    policy: Policy
    ordering: OrderingPolicy
    quarantine: QuarantinePolicy
    ttl: int
    attempts: int
    resend_after: int
    code_length: int = 6


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a login; ``verification`` is ``None`` where no route covers the country. ``cost`` in
    the model's currency; ``why``: of the first sender's place."""

    person: int
    country: str
    verification: Verification | None
    approved_after: int | None = None
    cost: float = 0.0
    why: Why | None = None


@dataclass(slots=True, eq=False)
class _Login:
    number: int
    person: int
    country: Country
    carrier: Carrier
    dice: Random
    has_sms: bool
    v: Verification
    why: Why
    due: int = 0
    seen: bool = False
    resends: int = 0
    approved_after: int | None = None
    cost: float = 0.0
    counted: Counted | None = None


def _dice(*of: object) -> Random:
    """The same for the same things, in every run."""
    return Random(":".join(map(str, of)))  # noqa: S311 - repeatable on purpose


class Engine:
    """One run. ``on_end`` hears of each login once nothing more can come of it."""

    def __init__(
        self,
        configuration: Configuration,
        model: Model,
        *,
        people: int,
        seed: int,
        on_end: Callable[[Ended], None],
    ) -> None:
        self._configuration = configuration
        self._model = model
        self._people = people
        self._seed = seed
        self._on_end = on_end
        self._dice = _dice(seed)
        self._now = START
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._last_senders: dict[int, str] = {}
        self._learnt = _Learnt(configuration)
        self._behaviours = {
            (country.code, sender.name): country.behaviour(sender)
            for country in model.countries
            for sender in configuration.senders.values()
        }
        self._countries = list(accumulate(country.share for country in model.countries))

    def run(self) -> int:
        """Run to the end; gives the number of logins."""
        logins = self._schedule()
        if self._configuration.ordering.is_on:
            self._at(FOLLOWED, self._follow)
        while self._events:
            self._now, _, act = heapq.heappop(self._events)
            act()
        return logins

    def _schedule(self) -> int:
        """Each person's logins; who she is and when she comes is the same in every configuration."""
        number, people = 0, self._model.people
        for person in range(self._people):
            dice = _dice(self._seed, person)
            country = self._country(dice)
            shares = list(accumulate(carrier.share for carrier in country.carriers))
            (carrier,) = dice.choices(country.carriers, cum_weights=shares)
            has_sms = dice.random() >= people.no_sms
            whole, more = divmod(people.logins, 1)
            for _ in range(int(whole) + (dice.random() < more)):
                after = int(dice.random() * people.hours * HOUR)
                begin = _Begin(self, number, person, country, carrier, has_sms)
                self._at(after, begin)
                number += 1
        return number

    def _country(self, dice: Random) -> Country:
        (found,) = dice.choices(self._model.countries, cum_weights=self._countries)
        return found

    def _at(self, after: int, act: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (self._now + after, self._sequence, act))

    def begin(
        self, number: int, person: int, country: Country, carrier: Carrier, has_sms: bool
    ) -> None:
        c = self._configuration
        names = plan_for(country.code, c.routes)
        if names is None:
            self._on_end(Ended(person, country.code, None))
            return
        plan = [c.senders[name] for name in names]
        if is_fixed(country.code, c.routes):
            places = as_given(plan, Why.FIXED)
        else:
            places = order(
                plan,
                c.ordering,
                self._dice,
                now=self._now,
                evidence=self._learnt.evidence.get(country.code),
                quarantined=self._learnt.held.get(country.code),
                sticky=self._last_senders.get(person),
            )
        v = Verification(
            id=f"ver_00{number:032x}",
            app="simulated",
            purpose="login",
            country=country.code,
            masked="",
            recipient_id="",
            sealed="",
            key_id="",
            plan=tuple(place.sender for place in places),
            chosen=places[0].why in _CHOSEN,
            created_at=self._now,
            expires_at=self._now + c.ttl,
            attempts_allowed=c.attempts,
            code_length=c.code_length,
            resend_after=self._now + c.resend_after,
        )
        dice = _dice(self._seed, "login", number)
        login = _Login(
            number, person, country, carrier, dice, has_sms, v, places[0].why, due=self._now
        )
        self._at(_milliseconds(self._model.people.patience, dice), lambda: self._impatient(login))
        self._advance(login)

    def _advance(self, login: _Login) -> None:
        """As ``service.flow.advance`` does it: decide and act until there is nothing to do now."""
        while True:
            decision = decide(login.v, self._configuration.policy, self._now)
            match decision:
                case Send():
                    self._send(login, decision)
                case Reconcile():
                    # What Telnyx knows it has reported: the model loses no webhook.
                    login.v = login.v.with_reconciled(decision.delivery, self._now)
                case Wait():
                    self._look_again(login, decision.until)
                    break
                case Close():
                    login.v = replace(
                        login.v, status=decision.status, closed_reason=decision.reason
                    )
                    # A late message may still be typed in.
                    self._look_again(login, max(login.v.expires_at, self._now))
                    break
        self._learnt.changed(login)

    def _look_again(self, login: _Login, until: int) -> None:
        login.due = until
        self._at(max(until - self._now, 0), lambda: self._due(login, until))

    def _due(self, login: _Login, at: int) -> None:
        if login.due != at:
            return
        if login.v.status is Status.PENDING:
            self._advance(login)
        if login.v.status is not Status.PENDING and self._now >= login.v.expires_at:
            self._end(login)

    def _end(self, login: _Login) -> None:
        login.due = -1
        self._learnt.changed(login)
        ended = Ended(
            login.person,
            login.country.code,
            login.v,
            login.approved_after,
            login.cost,
            login.why,
        )
        self._on_end(ended)

    def _send(self, login: _Login, decision: Send) -> None:
        v, sender = login.v, decision.sender
        delivery = Delivery(
            number=len(v.deliveries) + 1,
            sender=sender.name,
            kind=sender.kind,
            reason=decision.reason,
            begun_at=self._now,
        )
        nth = sum(d.sender == sender.name for d in v.deliveries)
        # The same person's message through the same sender fares alike, whatever the order.
        dice = _dice(self._seed, "message", login.number, sender.name, nth)
        fares = self._fares(login, sender)
        v = replace(
            v.with_delivery(delivery), resend_after=self._now + self._configuration.resend_after
        )
        number = delivery.number
        if sender.kind.is_sms and not login.has_sms:
            login.v = v.with_outcome(number, Refused(self._now, Fault.RECIPIENT))
        elif dice.random() < fares.refused:
            login.v = v.with_outcome(number, Refused(self._now, Fault.SENDER))
        else:
            login.cost += fares.cost
            login.v = v.with_outcome(number, Accepted(self._now, f"{login.number}.{number}"))
            self._travel(login, number, fares, dice)

    def _fares(self, login: _Login, sender: Sender) -> Behaviour:
        country, hour = login.country.code, (self._now - START) / HOUR
        found = self._behaviours[country, sender.name]
        for incident in self._model.incidents:
            found = incident.changed(found, country, sender, hour)
        return found

    def _travel(self, login: _Login, number: int, fares: Behaviour, dice: Random) -> None:
        """Whether and when a message is on the phone, and what is reported of it."""
        arrives = dice.random() < 1 - (1 - fares.arrives) * login.carrier.lost
        takes = int(_milliseconds(fares.takes, dice) * login.carrier.slow)
        if arrives:
            self._at(takes, lambda: self._arrive(login, number))
        says = (fares.reported if arrives else fares.lost_reported).draw(dice.random())
        reported = takes + _milliseconds(fares.report_takes, dice)
        if says is not None:
            self._at(reported, lambda: self._report(login, number, says, fares.cost))

    def _report(self, login: _Login, number: int, status: DeliveryStatus, cost: float) -> None:
        report = Report(
            event_id=str(number),
            status=status,
            at=self._now,
            message_id=f"{login.number}.{number}",
            cost=f"{cost:.6f}",
            currency="USD",
        )
        login.v = login.v.with_reports(number, report)
        if login.v.status is Status.PENDING:
            self._advance(login)
        else:
            self._learnt.changed(login)

    def _arrive(self, login: _Login, number: int) -> None:
        people = self._model.people
        if login.seen:
            return
        login.seen = True
        if login.dice.random() < people.types:
            self._at(_milliseconds(people.reads, login.dice), lambda: self._type(login, number))

    def _type(self, login: _Login, number: int) -> None:
        v = login.v
        if v.status not in _OPEN or self._now >= v.expires_at or not v.attempts_remaining:
            return
        right = login.dice.random() >= self._model.people.mistypes
        login.v = v = replace(v, attempts_used=v.attempts_used + 1, last_attempt_at=self._now)
        if not right:
            self._at(5_000, lambda: self._type(login, number))
            self._learnt.changed(login)
            return
        delivery = replace(v.deliveries[number - 1], proven=True)
        deliveries = (*v.deliveries[: number - 1], delivery, *v.deliveries[number:])
        login.v = replace(
            v,
            status=Status.APPROVED,
            closed_reason=Reason.APPROVED,
            deliveries=deliveries,
        )
        login.approved_after = self._now - v.created_at
        self._last_senders[login.person] = delivery.sender
        self._look_again(login, v.expires_at)
        self._learnt.changed(login)

    def _impatient(self, login: _Login) -> None:
        v, people = login.v, self._model.people
        if login.seen or v.status is not Status.PENDING or login.resends >= people.resends:
            return
        if self._now < v.resend_after:
            self._at(v.resend_after - self._now, lambda: self._impatient(login))
            return
        login.resends += 1
        login.v = replace(v, resends_asked=v.resends_asked + 1)
        self._at(_milliseconds(people.patience, login.dice), lambda: self._impatient(login))
        self._advance(login)

    def _follow(self) -> None:
        self._learnt.follow(self._now)
        if self._events:
            self._at(FOLLOWED, self._follow)


@dataclass(frozen=True, slots=True)
class _Begin:
    """A login that is to begin; kept small, for all of them wait at once."""

    engine: Engine
    number: int
    person: int
    country: Country
    carrier: Carrier
    has_sms: bool

    def __call__(self) -> None:
        self.engine.begin(self.number, self.person, self.country, self.carrier, self.has_sms)


class _Learnt:
    """Counters, evidence and quarantines, as the background of the service keeps them."""

    def __init__(self, configuration: Configuration) -> None:
        self._is_on = configuration.ordering.is_on
        self._judges = configuration.ordering.quarantine
        self._watch = Watch(configuration.quarantine)
        self._changed: dict[int, _Login] = {}
        self._rows: dict[int, dict[Row, Counter[str]]] = {}
        self._hours: dict[int, Mapping[Where, Counter[str]]] = {}
        self._quarantined: dict[Where, Quarantined] = {}
        self.evidence: dict[str, dict[str, Evidence]] = {}
        self.held: dict[str, dict[str, Quarantined]] = {}

    def changed(self, login: _Login) -> None:
        if self._is_on:
            self._changed[login.number] = login

    def follow(self, now: int) -> None:
        if not self._changed and not self._quarantined:
            return
        touched = set()
        for login in self._changed.values():
            counted = count(login.v)
            for name, by in increments(login.v, login.counted, counted).items():
                rows = self._rows.setdefault(name.hour, {})
                rows.setdefault(name.row, Counter())[name.metric] += by
                touched.add(name.hour)
            login.counted = counted
        self._changed.clear()
        first = now // HOUR - HOURS
        self._rows = {hour: rows for hour, rows in self._rows.items() if hour >= first}
        kept = {hour: senders for hour, senders in self._hours.items() if hour >= first}
        self._hours = kept | {
            h: by_sender(self._rows[h]).get(TOGETHER, {}) for h in touched if h >= first
        }
        self.evidence = {}
        for where, evidence in evidence_of(self._hours).items():
            self.evidence.setdefault(where.country, {})[where.sender] = evidence
        if self._judges:
            self._judge(now)

    def _judge(self, now: int) -> None:
        for change in self._watch.look(now, totals_of(self._hours), self._quarantined):
            if change.now is None:
                del self._quarantined[change.where]
            else:
                self._quarantined[change.where] = change.now
        self.held = {}
        for where, held in self._quarantined.items():
            self.held.setdefault(where.country, {})[where.sender] = held


def _milliseconds(spread: Spread, dice: Random) -> int:
    return int(1000 * spread.median * math.exp(dice.gauss(0, spread.sigma)))
