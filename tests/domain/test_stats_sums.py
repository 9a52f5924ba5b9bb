"""Rows that are added as one number give what their counters give one by one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.domain.stats import BUCKETS, count, increments
from service.domain.stats_sums import SIZE, Sums, add, total
from service.domain.verification import Verification
from tests.domain.strategies import verifications

_names = st.sampled_from(
    [
        *("sent", "proven", "undeliverable", "cost.USD", "cost.EUR", "fallback.resend"),
        *("arrived.0", "arrived.7", "typed.0", f"typed.{BUCKETS - 1}"),
    ]
)
_rows = st.lists(st.dictionaries(_names, st.integers(1, 2**24)), max_size=9)


@given(_rows)
def test_a_sum_is_what_its_rows_are(rows: list[dict[str, int]]) -> None:
    expected: Counter[str] = Counter()
    for row in rows:
        expected.update(row)
    packed = [Sums.of(row) for row in rows]
    assert total(packed) == expected
    assert total([add(packed[:4]), add(packed[4:])]) == expected
    assert all(len(one.write()) == SIZE for one in packed)
    assert [Sums(int.from_bytes(one.write(), "little"), one.others) for one in packed] == packed


@given(verifications())
def test_all_that_is_counted_has_its_place(v: Verification) -> None:
    fields = increments(v, None, count(v))
    metrics = Counter[str]()
    for field, by in fields.items():
        metrics[field.metric] += by
    sums = Sums.of(metrics)
    assert total([sums]) == metrics
    assert all(name.startswith(("fallback.", "blocked.", "cost.")) for name in sums.others)


def test_nothing_runs_over_into_what_stands_beside_it() -> None:
    most = {"sent": 2**32 - 1, "typed.3": 2**31, "arrived.120": 5, "cost.USD": 2**40}
    assert total([Sums.of(most)]) == most
    assert total([Sums.of({"sent": 2**40, "proven": -2})]) == {"sent": 2**32 - 1}
