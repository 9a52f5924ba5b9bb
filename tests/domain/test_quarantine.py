"""Quarantine in virtual time: spikes are found, noise is not, and it ends by itself."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.quarantine import (
    Change,
    Outcomes,
    Quarantined,
    QuarantinePolicy,
    Watch,
    totals_of,
)
from service.domain.stats import HOUR, Where

START = 1_800_000_000_000
LOOK = 5_000
HERE, THERE = Where("US", "short"), Where("CA", "short")
POLICY = QuarantinePolicy()


class _Course:
    """Messages whose end comes at once, and a watch that looks every five seconds."""

    def __init__(self, seed: int = 1) -> None:
        self.dice, self.now, self.watch = Random(seed), START, Watch(POLICY)
        self.totals: dict[int, dict[Where, Outcomes]] = {}
        self.held: dict[Where, Quarantined] = {}
        self.changes: list[Change] = []

    def run(self, minutes: float, failing: float, a_minute: int = 60) -> list[Change]:
        before = len(self.changes)
        for _ in range(round(minutes * 60_000 / LOOK)):
            self.now += LOOK
            some = a_minute * LOOK / 60_000
            for _ in range(int(some) + (self.dice.random() < some % 1)):
                # Once it is quarantined it gets what others could not deliver, and a few that try it.
                if HERE in self.held and self.dice.random() > 0.2:
                    continue
                self._count(HERE, Outcomes(self.dice.random() < failing, 1))
            self._look()
        return self.changes[before:]

    def _count(self, where: Where, by: Outcomes) -> None:
        of_hour = self.totals.setdefault(self.now // HOUR, {})
        of_hour[where] = of_hour.get(where, Outcomes()).plus(by)

    def _look(self) -> None:
        self.totals = {h: t for h, t in self.totals.items() if h > self.now // HOUR - 25}
        seen = {hour: dict(of_hour) for hour, of_hour in self.totals.items()}
        for change in self.watch.look(self.now, seen, self.held):
            self.changes.append(change)
            if change.now is None:
                del self.held[change.where]
            else:
                self.held[change.where] = change.now


def test_a_spike_is_found_within_a_minute_and_ends_by_itself() -> None:
    course = _Course()
    assert course.run(60, failing=0.05) == []
    (entered,) = course.run(1, failing=1.0)
    assert (entered.where, entered.before) == (HERE, 0)
    assert entered.now is not None
    assert entered.now.failed >= POLICY.least
    assert entered.now.until - entered.now.since == POLICY.hold
    assert entered.now.usual < 0.1
    assert course.run(9, failing=1.0) == []
    assert course.run(3, failing=0.05)[-1].now is None  # a few have tried it, and it is well
    assert course.run(60, failing=0.05) == []


def test_it_holds_for_twice_as_long_while_it_goes_on_up_to_a_bound() -> None:
    course = _Course()
    course.run(30, failing=0.05)
    held = [change.now for change in course.run(24 * 60, failing=0.9)]
    assert all(one is not None for one in held)
    holds = [one.until - one.since for one in held if one is not None]
    doubled = [POLICY.hold * 2**n for n in range(len(holds))]
    assert holds == [min(hold, POLICY.longest_hold) for hold in doubled]
    assert [one.strikes for one in held if one is not None] == list(range(1, len(held) + 1))


def test_noise_trips_nothing() -> None:
    for seed, failing, a_minute in ((1, 0.05, 60), (2, 0.1, 6), (3, 0.15, 2)):
        course = _Course(seed)
        assert course.run(6 * 60, failing, a_minute) == [], (failing, a_minute)


def test_what_usually_fails_a_lot_is_no_spike() -> None:
    course = _Course()
    course.totals[course.now // HOUR - 3] = {HERE: Outcomes(2_000, 4_000)}
    assert course.run(60, failing=0.5) == []


def test_a_few_failures_trip_nothing_however_bad() -> None:
    course = _Course()
    course._look()
    for _ in range(POLICY.least - 1):
        course._count(HERE, Outcomes(1, 1))
        course._look()
    assert course.changes == []
    course._count(HERE, Outcomes(1, 1))
    course._look()
    assert [change.where for change in course.changes] == [HERE]


def test_it_is_of_one_country_and_one_sender() -> None:
    course = _Course()
    course._look()
    for _ in range(20):
        course._count(HERE, Outcomes(1, 1))
        course._count(THERE, Outcomes(0, 1))
        course._look()
    assert {change.where for change in course.changes} == {HERE}


def test_where_nothing_is_sent_it_ends_after_the_longest_hold() -> None:
    course = _Course()
    course.run(1, failing=1.0)
    assert list(course.held) == [HERE]
    course.now = course.held[HERE].until
    (ended,) = course.run(POLICY.longest_hold / 60_000 + 1, failing=0, a_minute=0)
    assert ended == Change(HERE, 1, None)


def test_what_was_before_the_first_look_is_no_spike() -> None:
    totals = {START // HOUR: {HERE: Outcomes(500, 500)}}
    assert Watch(POLICY).look(START, totals, {}) == []


@settings(max_examples=30)
@given(st.data())
def test_whatever_it_sees_each_change_fits_what_is_held(data: st.DataObject) -> None:
    watch, now, held = Watch(POLICY), START, dict[Where, Quarantined]()
    sums = {HERE: Outcomes(), THERE: Outcomes()}
    for _ in range(data.draw(st.integers(1, 30))):
        now += data.draw(st.sampled_from([5_000, 60_000, POLICY.hold, POLICY.longest_hold]))
        for where, before in sums.items():
            known = data.draw(st.integers(0, 40))
            sums[where] = before.plus(Outcomes(data.draw(st.integers(0, known)), known))
        for change in watch.look(now, {START // HOUR: dict(sums)}, held):
            assert change.before == (held[change.where].strikes if change.where in held else 0)
            if change.now is None:
                del held[change.where]
                continue
            assert change.now.strikes == change.before + 1
            assert POLICY.hold <= change.now.until - now <= POLICY.longest_hold
            held[change.where] = change.now


def test_outcomes_are_read_from_the_counters() -> None:
    metrics = {"faulted": 3, "delivered": 5, "unconfirmed": 1, "sent": 20}
    assert totals_of({7: {HERE: metrics}}) == {7: {HERE: Outcomes(3, 9)}}
