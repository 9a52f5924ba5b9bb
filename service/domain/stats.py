"""Statistics: what each verification counts for, as increments of plain counters.

A verification counts for what its facts say now. What it counted for before is kept beside it
(``Counted``), so a further fact moves counts from one column to another, and no order or repetition of
reports counts twice. A message counts in the hour in which it was begun, whenever its report or its code
comes: an hour's row says what became of that hour's messages.

Times are kept in buckets whose bounds grow by a tenth, so a quantile is at most 5 % off, whatever the
distribution (the idea of DDSketch, Masson et al. 2019).
"""

import math
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import msgspec

from service.domain.verification import (
    FAILED_FOR_CERTAIN,
    Accepted,
    Delivery,
    DeliveryStatus,
    Fault,
    HeldBack,
    NotSent,
    Reason,
    Report,
    Status,
    Verification,
)

HOUR = 3_600_000
MICROS = 1_000_000
_GROWTH = 1.1
_SHORTEST = 100  # milliseconds; nothing that people wait for is told apart below
_LONGEST = 120  # some two and a half hours
BUCKETS = _LONGEST + 1
_ASKED = (Reason.INITIAL, Reason.RESEND)
_JUDGED = {"first", "first_proven", "sent", "faulted", "delivered", "unconfirmed"}
_FINAL = {
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.DELIVERY_UNCONFIRMED: "unconfirmed",
    DeliveryStatus.DELIVERY_FAILED: "failed",
    DeliveryStatus.SENDING_FAILED: "failed",
}
_ENDED = {
    Status.APPROVED: "approved",
    Status.EXPIRED: "expired",
    Status.LOCKED: "locked",
    Status.CANCELED: "canceled",
    Status.UNDELIVERABLE: "undeliverable",
}


class Row(NamedTuple):
    """What is counted apart. Of the verifications themselves ``sender`` and ``carrier`` are empty."""

    app: str
    country: str
    sender: str = ""
    carrier: str = ""


class Field(NamedTuple):
    """One counter of an hour (hours since the epoch)."""

    hour: int
    row: Row
    metric: str


Increments = Mapping[Field, int]
_Place = tuple[int, Row]
Rows = Mapping[Row, Mapping[str, int]]


class Where(NamedTuple):
    """A sender in a country (ISO 3166-1 alpha-2)."""

    country: str
    sender: str


Hours = Mapping[int, Mapping[Where, Mapping[str, int]]]
"""What senders are judged by, hour by hour (since the epoch), of all carriers together."""
TOGETHER = ""


@dataclass(frozen=True, slots=True)
class CountedDelivery:
    """What a delivery counts for. ``cost`` in millionths; ``arrived`` and ``typed`` are buckets of the
    time until the report and until the code was typed, -1 where there is none. ``faulted``: it failed for
    certain, by no fault of the recipient's, and its code was not typed."""

    outcome: str = ""
    final: str = ""
    proven: bool = False
    cost: int = 0
    currency: str = ""
    carrier: str = ""
    arrived: int = -1
    typed: int = -1
    faulted: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """What a verification counts for."""

    ended: str = ""
    typed: int = -1
    deliveries: tuple[CountedDelivery, ...] = ()

    def dump(self) -> str:
        """A short text, kept in the verification's record."""
        deliveries = [
            [
                *(d.outcome, d.final, int(d.proven), d.cost, d.currency, d.carrier),
                *(d.arrived, d.typed, int(d.faulted)),
            ]
            for d in self.deliveries
        ]
        return msgspec.json.encode([self.ended, self.typed, *deliveries]).decode()

    @classmethod
    def load(cls, text: str) -> "Counted":
        ended, typed, *deliveries = msgspec.json.decode(text)
        return cls(
            ended,
            typed,
            tuple(CountedDelivery(o, f, bool(p), *rest) for o, f, p, *rest in deliveries),
        )


def count(v: Verification) -> Counted:
    """What a verification counts for as it stands."""
    return Counted(
        ended=_ENDED.get(v.status, ""),
        typed=bucket(v.last_attempt_at - v.created_at) if v.status is Status.APPROVED else -1,
        deliveries=tuple(_count(v, delivery) for delivery in v.deliveries),
    )


def _count(v: Verification, d: Delivery) -> CountedDelivery:
    report = d.report
    if d.outcome is None and report is None:
        return CountedDelivery()
    status = d.status if report is None else report.status
    final = _FINAL.get(status, "")
    cost = micros(report.cost) if report is not None and report.cost is not None else 0
    return CountedDelivery(
        outcome=_outcome(d, report),
        final=final,
        proven=d.proven,
        cost=cost,
        currency=(report.currency or "") if report is not None and cost else "",
        carrier=(report.carrier if report is not None else None) or "",
        arrived=bucket(report.at - d.accepted_at) if report and final == "delivered" else -1,
        typed=bucket(v.last_attempt_at - d.begun_at) if d.proven else -1,
        faulted=status in FAILED_FOR_CERTAIN and _is_faulted(d, report),
    )


def _is_faulted(d: Delivery, report: Report | None) -> bool:
    """Of one that failed for certain."""
    if d.proven or (report is None and isinstance(d.outcome, HeldBack | NotSent)):
        return False
    return d.fault in (Fault.SENDER, Fault.OTHER, None)


def _outcome(d: Delivery, report: Report | None) -> str:
    if report is not None or isinstance(d.outcome, Accepted):
        return "accepted"
    return "uncertain" if d.may_exist else "rejected"


def increments(v: Verification, before: Counted | None, now: Counted) -> Increments:
    """What to add to which counter, for a verification that counted for ``before``."""
    if before == now:
        return {}
    found: dict[_Place, dict[str, int]] = {}
    login = found[v.created_at // HOUR, Row(v.app, v.country)] = {}
    _add(login, _of_login(v, now), 1)
    if before is not None:
        _add(login, _of_login(v, before), -1)
    known = before.deliveries if before is not None else ()
    for n, (d, c) in enumerate(zip(v.deliveries, now.deliveries, strict=False)):
        was = known[n] if n < len(known) else CountedDelivery()
        if was != c:
            _add_delivery(found, v, d, c, 1)
            _add_delivery(found, v, d, was, -1)
    return {
        Field(hour, row, metric): by
        for (hour, row), metrics in found.items()
        for metric, by in metrics.items()
        if by
    }


def _add_delivery(
    to: dict[_Place, dict[str, int]], v: Verification, d: Delivery, c: CountedDelivery, sign: int
) -> None:
    if c.outcome:
        place = d.begun_at // HOUR, Row(v.app, v.country, d.sender, c.carrier)
        metrics = to.setdefault(place, {})
        _add(metrics, _metrics(c), sign)
        _add(metrics, _first(v, d, c), sign)


def _add(to: dict[str, int], metrics: Iterable[tuple[str, int]], sign: int) -> None:
    for metric, by in metrics:
        to[metric] = to.get(metric, 0) + sign * by


def of_blocked(app: str, country: str, rule: str, at: int) -> Increments:
    """What a start that the guard refused counts for."""
    return {Field(at // HOUR, Row(app, country), f"blocked.{rule}"): 1}


def _of_login(v: Verification, counted: Counted) -> Iterator[tuple[str, int]]:
    yield "started", 1
    if counted.ended:
        yield counted.ended, 1
    if any(c.outcome == "accepted" for c in counted.deliveries):
        yield "accepted", 1
    if any(c.final == "delivered" for c in counted.deliveries):
        yield "delivered", 1
    for d, c in zip(v.deliveries, counted.deliveries, strict=False):
        if c.outcome and d.reason not in _ASKED:
            yield f"fallback.{d.reason}", 1
    if counted.typed >= 0:
        yield f"typed.{counted.typed}", 1


def _first(v: Verification, d: Delivery, c: CountedDelivery) -> Iterator[tuple[str, int]]:
    """What senders are compared by, see ``service.domain.ordering``."""
    if v.chosen or d.reason is not Reason.INITIAL:
        return
    if c.outcome in ("accepted", "uncertain") or c.faulted:
        yield "first", 1
        if c.proven:
            yield "first_proven", 1


def _metrics(c: CountedDelivery) -> Iterator[tuple[str, int]]:
    yield "rejected" if c.outcome == "rejected" else "sent", 1
    if c.final:
        yield c.final, 1
    if c.faulted:
        yield "faulted", 1
    if c.proven:
        yield "proven", 1
        if c.final in ("delivered", "failed"):
            yield f"proven_{c.final}", 1
    if c.cost:
        yield f"cost.{c.currency}", c.cost
    if c.arrived >= 0:
        yield f"arrived.{c.arrived}", 1
    if c.typed >= 0:
        yield f"typed.{c.typed}", 1


def bucket(milliseconds: int) -> int:
    """The bucket of a duration."""
    if milliseconds <= _SHORTEST:
        return 0
    return min(math.ceil(math.log(milliseconds / _SHORTEST, _GROWTH)), _LONGEST)


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """Seconds that ``share`` of the counted durations do not exceed, at most 5 % off; ``None`` of none."""
    total = sum(buckets.values())
    if total <= 0:
        return None
    left = max(math.ceil(share * total), 1)
    for number in sorted(buckets):
        left -= buckets[number]
        if left <= 0:
            break
    # The middle of a bucket, relative to its bounds.
    return round(_SHORTEST * _GROWTH**number * 2 / (1 + _GROWTH) / 1000, 3)


def micros(amount: str) -> int:
    """Millionths of a decimal amount; 0 for what is none."""
    try:
        found = Decimal(amount)
    except InvalidOperation:
        return 0
    return int(found * MICROS) if found.is_finite() and 0 <= found < MICROS else 0


def by_sender(
    rows: Rows, apart: Container[str] = frozenset()
) -> dict[str, dict[Where, Counter[str]]]:
    """An hour's counters that senders are judged by: of the apps that are to stand ``apart`` each by
    itself, of all others ``TOGETHER``."""
    found: dict[str, dict[Where, Counter[str]]] = {}
    for row, metrics in rows.items():
        if row.sender:
            of_app = found.setdefault(row.app if row.app in apart else TOGETHER, {})
            kept = {m: n for m, n in metrics.items() if m in _JUDGED or m.startswith("cost.")}
            of_app.setdefault(Where(row.country, row.sender), Counter()).update(kept)
    return found


def spread(metrics: Mapping[str, int], name: str) -> dict[int, int]:
    """The buckets of a duration, from a row's metrics."""
    start = f"{name}."
    return {int(m[len(start) :]): by for m, by in metrics.items() if m.startswith(start)}
