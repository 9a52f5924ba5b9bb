"""Sums of statistics that are added up by the hundred thousand to answer one question.

The counters of a row, buckets of durations among them, stand side by side in one large whole number, 32 bits
each, so two rows are added by one addition. What is no fixed name (another currency's cost, the reason of a
fallback) stands beside it.
"""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from service.domain.stats import BUCKETS

_COUNTS = (
    "sent", "rejected", "delivered", "failed", "unconfirmed", "proven", "proven_delivered", "proven_failed",
    "faulted", "first", "first_proven",
    "started", "accepted", "approved", "expired", "locked", "canceled", "undeliverable", "cost.USD",
)  # fmt: skip
_NAMES = (
    *_COUNTS,
    *(f"{duration}.{bucket}" for duration in ("arrived", "typed") for bucket in range(BUCKETS)),
)
_LANES = {name: lane for lane, name in enumerate(_NAMES)}
# What things cost, in millionths, takes two lanes; it stands last of the counts.
_FORM = struct.Struct(f"<{len(_COUNTS) - 1}IQ{len(_NAMES) - len(_COUNTS)}I")
_MOST, _MOST_COST = 2**32 - 1, 2**63
SIZE = _FORM.size
"""Bytes of a row's number."""


class Sums(NamedTuple):
    """A row's counters."""

    number: int
    others: Mapping[str, int]

    @classmethod
    def of(cls, metrics: Mapping[str, int]) -> "Sums":
        lanes, others = [0] * len(_NAMES), {}
        for name, by in metrics.items():
            lane = _LANES.get(name)
            if lane is None:
                others[name] = by
            else:
                lanes[lane] = min(max(by, 0), _MOST_COST if name == _COUNTS[-1] else _MOST)
        return cls(int.from_bytes(_FORM.pack(*lanes), "little"), others)

    def write(self) -> bytes:
        """Its number, ``SIZE`` bytes."""
        return self.number.to_bytes(SIZE, "little")


def add(rows: Iterable[Sums]) -> Sums:
    """The sum of several rows; a counter has room for four thousand million."""
    number, others = 0, Counter[str]()
    for row in rows:
        number += row.number
        if row.others:
            others.update(row.others)
    return Sums(number, others)


def total(rows: Iterable[Sums]) -> Counter[str]:
    """The sums of several rows' metrics, by name."""
    number, others = add(rows)
    return Counter(dict(_named(number))) + Counter(others)


def _named(number: int) -> Iterator[tuple[str, int]]:
    # One more byte for a carry that cannot be, rather than an exception.
    lanes = _FORM.unpack_from(number.to_bytes(SIZE + 4, "little"))
    return ((name, by) for name, by in zip(_NAMES, lanes, strict=True) if by)
