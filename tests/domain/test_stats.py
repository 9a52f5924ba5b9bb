"""Statistics: increments add up to what the last state says, and quantiles are as exact as they claim."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.domain.stats import (
    Counted,
    Field,
    bucket,
    count,
    increments,
    micros,
    quantile,
)
from service.domain.verification import Verification
from tests.domain.strategies import verifications


@given(st.lists(verifications(), min_size=1, max_size=3))
def test_increments_add_up_to_the_last_state(states: list[Verification]) -> None:
    # Any states in any order: what counts is only what each says, not how it came about.
    counters: Counter[Field] = Counter()
    before, previous = None, None
    for state in states:
        v = _like(state, previous)
        now = count(v)
        for field, by in increments(v, before, now).items():
            counters[field] += by
        before, previous = Counted.load(now.dump()), v
        assert before == now
    assert previous is not None
    expected = increments(previous, None, count(previous))
    assert {f: by for f, by in counters.items() if by} == expected


def _like(v: Verification, before: Verification | None) -> Verification:
    """As ``v``, with what never changes of a delivery as it was before."""
    if before is None:
        return v
    kept = [
        replace(now, sender=was.sender, reason=was.reason, begun_at=was.begun_at)
        for was, now in zip(before.deliveries, v.deliveries, strict=False)
    ]
    rest = v.deliveries[len(kept) :] or before.deliveries[len(kept) :]
    return replace(v, deliveries=(*kept, *rest))


@given(verifications())
def test_a_message_is_in_one_column_at_most(v: Verification) -> None:
    for field, by in increments(v, None, count(v)).items():
        assert by > 0, field
    for d in count(v).deliveries:
        assert d.outcome in ("", "accepted", "uncertain", "rejected")
        assert d.final in ("", "delivered", "failed", "unconfirmed")


@given(st.lists(st.integers(100, 9_000_000), min_size=1), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_at_most_5_percent_off(durations: list[int], share: float) -> None:
    found = quantile(Counter(map(bucket, durations)), share)
    exact = sorted(durations)[max(-(-int(share * 100) * len(durations) // 100) - 1, 0)] / 1000
    assert found is not None
    assert abs(found - exact) <= 0.05 * exact + 0.001


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert micros("0.0051") == 5100
    assert micros("NaN") == micros("-1") == micros("") == 0
