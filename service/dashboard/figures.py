"""The overview's figures, from the counters of hours: the funnel, its course, the heat map, last week."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.stats import HOUR, Row, quantile, spread
from service.domain.stats_sums import Sums, total

WEEK = 7 * 24
Hours = Mapping[int, Mapping[Row, Sums]]
_STEPS = {
    "started": "Started",
    "accepted": "Accepted by Telnyx",
    "delivered": "Reported delivered",
    "approved": "Approved",
}
_MOST_SHADE = 5


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the funnel; ``share`` of all that were started."""

    name: str
    count: int
    share: float | None


@dataclass(frozen=True, slots=True)
class HourOf:
    """What was started in an hour (milliseconds of its beginning), and approved of that."""

    at: int
    started: int
    approved: int


@dataclass(frozen=True, slots=True)
class Cell:
    """Messages to a country by a sender. ``proven``: the share whose code was typed; ``unproven``: reported
    delivered and never typed; ``belied``: reported failed and typed all the same. The latter two are
    the truth gap. ``shade``: 0 (none proven) to 5 (all)."""

    sent: int
    delivered: float | None
    proven: float | None
    unproven: int
    belied: int
    shade: int


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of the last full hour, and of the same hour a week before; ``is_worse``: by how it went."""

    name: str
    now: str
    before: str
    change: str
    is_worse: bool


@dataclass(frozen=True, slots=True)
class SenderHealth:
    """A sender's messages."""

    name: str
    sent: int
    rejected: int
    delivered: float | None
    failed: float | None
    proven: float | None
    p95: float | None
    cost: str


def funnel(hours: Hours, sees: Callable[[Row], bool]) -> list[Step]:
    """Of all verifications of these hours."""
    summed = _sum(hours, sees)
    return [
        Step(name, summed[key], _share(summed[key], summed["started"]))
        for key, name in _STEPS.items()
    ]


def course(hours: Hours, wanted: Iterable[int], sees: Callable[[Row], bool]) -> list[HourOf]:
    """Hour by hour, those without any too."""
    found = []
    for hour in wanted:
        summed = _sum({hour: hours.get(hour, {})}, sees)
        found.append(HourOf(hour * HOUR, summed["started"], summed["approved"]))
    return found


def heat_map(
    hours: Hours, sees: Callable[[Row], bool]
) -> tuple[list[str], dict[str, dict[str, Cell]]]:
    """The senders, and by country each one's cell; the countries of the most messages first."""
    rows_of: dict[tuple[str, str], list[Sums]] = {}
    for rows in hours.values():
        for row, sums in rows.items():
            if sees(row):
                rows_of.setdefault((row.country, row.sender), []).append(sums)
    by_place = {place: total(some) for place, some in rows_of.items()}
    senders = sorted({sender for _, sender in by_place})
    countries: Counter[str] = Counter()
    for (country, _), metrics in by_place.items():
        countries[country] += metrics["sent"]
    return senders, {
        country: {s: _cell(by_place[country, s]) for s in senders if (country, s) in by_place}
        for country, _ in countries.most_common()
    }


def against_last_week(hours: Hours, hour: int, sees: Callable[[Row], bool]) -> list[Change]:
    """The last full hour against the same one a week before."""
    now, before = (_sum({h: hours.get(h, {})}, sees) for h in (hour, hour - WEEK))
    fallbacks = [
        sum(by for name, by in m.items() if name.startswith("fallback.")) for m in (now, before)
    ]
    blocked = [
        sum(by for name, by in m.items() if name.startswith("blocked.")) for m in (now, before)
    ]
    p95s = [quantile(spread(m, "typed"), 0.95) for m in (now, before)]
    return [
        _counted("Started", now["started"], before["started"]),
        _shared("Approved", _rate(now, "approved"), _rate(before, "approved")),
        _shared("Reported delivered", _rate(now, "delivered"), _rate(before, "delivered")),
        _counted("Fallbacks", *fallbacks, more_is_worse=True),
        _counted("Blocked by the guard", *blocked, more_is_worse=True),
        _timed("Time to approval, p95", *p95s),
    ]


def senders(hours: Hours, sees: Callable[[Row], bool]) -> list[SenderHealth]:
    """Each sender's health, the busiest first."""
    by_sender: dict[str, list[Sums]] = {}
    for rows in hours.values():
        for row, sums in rows.items():
            if sees(row):
                by_sender.setdefault(row.sender, []).append(sums)
    found = [_health(name, total(some)) for name, some in by_sender.items()]
    return sorted(found, key=lambda one: -one.sent)


def points(values: Sequence[int], most: int, width: int, height: int) -> str:
    """A line's points in an SVG of this size, for values from 0 to ``most``."""
    step = width / max(len(values) - 1, 1)
    return " ".join(
        f"{n * step:.1f},{height - height * value / max(most, 1):.1f}"
        for n, value in enumerate(values)
    )


def _sum(hours: Hours, wanted: Callable[[Row], bool]) -> Counter[str]:
    return total(sums for rows in hours.values() for row, sums in rows.items() if wanted(row))


def _cell(m: Counter[str]) -> Cell:
    proven = _share(m["proven"], m["sent"])
    return Cell(
        sent=m["sent"],
        delivered=_share(m["delivered"], m["sent"]),
        proven=proven,
        unproven=m["delivered"] - m["proven_delivered"],
        belied=m["proven_failed"],
        shade=0 if proven is None else round(min(proven, 1.0) * _MOST_SHADE),
    )


def _health(name: str, m: Counter[str]) -> SenderHealth:
    costs = sorted((k.removeprefix("cost."), by) for k, by in m.items() if k.startswith("cost."))
    return SenderHealth(
        name=name,
        sent=m["sent"],
        rejected=m["rejected"],
        delivered=_share(m["delivered"], m["sent"]),
        failed=_share(m["failed"], m["sent"]),
        proven=_share(m["proven"], m["sent"]),
        p95=quantile(spread(m, "arrived"), 0.95),
        cost=", ".join(f"{by / 1_000_000:.2f} {currency}" for currency, by in costs),
    )


def _rate(m: Counter[str], name: str) -> float | None:
    return _share(m[name], m["started"])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counted(name: str, now: int, before: int, *, more_is_worse: bool = False) -> Change:
    change = now - before
    said = f"{change:+d}" + (f" ({100 * change / before:+.0f} %)" if before else "")
    worse = change > 0 if more_is_worse else change < 0
    return Change(name, str(now), str(before), said, is_worse=worse)


def _shared(name: str, now: float | None, before: float | None) -> Change:
    change, is_worse = "-", False
    if now is not None and before is not None:
        change, is_worse = f"{100 * (now - before):+.1f} points", now < before
    return Change(name, _percent(now), _percent(before), change, is_worse=is_worse)


def _timed(name: str, now: float | None, before: float | None) -> Change:
    change, is_worse = "-", False
    if now is not None and before is not None:
        change, is_worse = f"{now - before:+.1f} s", now > before
    return Change(name, _seconds(now), _seconds(before), change, is_worse=is_worse)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
