"""Honest traffic of 50 countries passes, and each known shape of SMS pumping is stopped within 100 messages.

All of it in virtual time, by the rule and the tallies' Python form; tests/store/test_pumping.py holds the
script to that form and plays a shorter run against it.
"""

import pytest

from service.domain.ledger import Ledger
from service.domain.pumping import PumpingPolicy
from service.domain.tally import DAY, HOUR
from tests.traffic import COUNTRIES, PUMPING, T0, Honest, Message, Outcome, run

MOST = 100
DRIP = "a slow drip into one prefix"


def _pump(ledger: Ledger, traffic: Honest, shape: str, start: int) -> Outcome:
    """A thousand messages within 17 minutes (of the drip: within two hours), amid honest logins."""
    pumping = PUMPING[shape](traffic.seed, start + HOUR // 4, 120 if shape == DRIP else 1_000)
    return run(ledger, traffic.stream(start, start + HOUR), pumping)


def _first_stop(ledger: Ledger, stream: list[Message]) -> int:
    for n, message in enumerate(stream):
        if ledger.start(message.keys, message.at) is not None:
            return n
    return len(stream)


def test_honest_logins_pass_and_each_shape_is_stopped() -> None:
    ledger, traffic = Ledger(PumpingPolicy()), Honest(seed=7, a_day=5_000)
    end = T0 + DAY
    honest = run(ledger, traffic.stream(T0, end))
    assert honest.honest > 5_000
    assert honest.refused / honest.honest < 0.001, honest.reasons
    for n, shape in enumerate(PUMPING):
        outcome = _pump(ledger, traffic, shape, end + n * 2 * HOUR)
        assert 0 < outcome.pumped <= MOST, (shape, outcome)
        assert outcome.stopped > 0


@pytest.mark.parametrize("shape", PUMPING)
def test_without_any_history_each_shape_is_stopped_too(shape: str) -> None:
    stream = list(PUMPING[shape](3, T0, 2 * MOST))
    assert _first_stop(Ledger(PumpingPolicy()), stream) <= MOST


def test_a_launch_passes() -> None:
    """Nothing was proven before, and all of a day's people come within an hour."""
    traffic = Honest(seed=5, a_day=24 * 1_000, apps=("launch",))
    outcome = run(Ledger(PumpingPolicy()), traffic.stream(T0, T0 + HOUR))
    assert outcome.honest > 800
    assert outcome.refused / outcome.honest < 0.001, outcome.reasons


def test_the_traffic_is_what_it_says() -> None:
    stream = list(Honest(seed=1, a_day=8_000).stream(T0, T0 + DAY))
    assert stream == sorted(stream, key=lambda message: message.at)
    assert len({message.keys["country"] for message in stream}) == COUNTRIES  # type: ignore[index]
    proven = [m.proven_at - m.at for m in stream if m.proven_at is not None]
    assert 0.6 < len(proven) / len(stream) < 0.9
    assert min(proven) >= 5_000
    assert max(proven) <= 120_000
    assert stream == list(Honest(seed=1, a_day=8_000).stream(T0, T0 + DAY))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_more_of_it(seed: int) -> None:
    apps = tuple(f"app-{n}" for n in range(8))
    ledger, traffic = Ledger(PumpingPolicy()), Honest(seed, a_day=40_000, apps=apps)
    end = T0 + 4 * DAY
    honest = run(ledger, traffic.stream(T0, end))
    assert honest.honest > 150_000
    assert honest.refused / honest.honest < 0.001, honest.reasons
    for n, shape in enumerate(PUMPING):
        outcome = _pump(ledger, traffic, shape, end + n * 6 * HOUR)
        assert 0 < outcome.pumped <= MOST, (shape, outcome)
