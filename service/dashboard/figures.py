"""The overview's figures, from the counters of hours: the funnel, its course, the heat map, last week."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.dashboard import formats
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
_DAY, _TICKS = 24, 5
_ENOUGH, _GAP = 20, 0.3
"""Of fewer messages nothing is said; of more so great a share that is reported delivered and never typed."""
_MATERIAL, _POINTS = 0.1, 0.02
"""Smaller changes come by chance and are not called worse."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the funnel; ``share`` of all that were started."""

    name: str
    count: int
    share: float | None


@dataclass(frozen=True, slots=True)
class HourOf:
    """What was started in an hour (milliseconds of its beginning), and what became of that."""

    at: int
    started: int
    accepted: int
    delivered: int
    approved: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the chart as points of an SVG; what is not over yet, the last hour, apart."""

    name: str
    whole: str
    unfinished: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines under a round number (``top``); ``ticks`` stand at even distances."""

    top: int
    lines: list[Line]
    ticks: list[str]


@dataclass(frozen=True, slots=True)
class Cell:
    """Messages to a country by a sender. ``proven``: the share whose code was typed; ``unproven``: reported
    delivered and never typed; ``belied``: reported failed and typed all the same. The latter two are
    the truth gap; ``is_gap``: so many are unproven that somebody seems to lie. ``shade``: 0 (none proven)
    to 5 (all)."""

    sent: int
    delivered: float | None
    proven: float | None
    unproven: int
    belied: int
    shade: int
    is_gap: bool


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
        found.append(HourOf(hour * HOUR, **{key: summed[key] for key in _STEPS}))
    return found


def heat_map(
    rows: Mapping[Row, Sums], sees: Callable[[Row], bool]
) -> tuple[list[str], dict[str, dict[str, Cell]]]:
    """The senders, and by country each one's cell; the countries of the most messages first."""
    rows_of: dict[tuple[str, str], list[Sums]] = {}
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


def senders(rows: Mapping[Row, Sums], sees: Callable[[Row], bool]) -> list[SenderHealth]:
    """Each sender's health, the busiest first."""
    by_sender: dict[str, list[Sums]] = {}
    for row, sums in rows.items():
        if sees(row):
            by_sender.setdefault(row.sender, []).append(sums)
    found = [_health(name, total(some)) for name, some in by_sender.items()]
    return sorted(found, key=lambda one: -one.sent)


def chart(hours: Sequence[HourOf], width: int, height: int) -> Chart:
    """The course in an SVG of this size. The last of the hours is not over yet."""
    top = _round_up(max((hour.started for hour in hours), default=0))
    values = {
        "started": [hour.started for hour in hours],
        "delivered": [hour.delivered for hour in hours],
        "approved": [hour.approved for hour in hours],
    }
    lines = []
    for name, of_hours in values.items():
        points = _points(of_hours, top, width, height)
        lines.append(Line(name, " ".join(points[:-1]), " ".join(points[-2:])))
    places = [round(n * (len(hours) - 1) / (_TICKS - 1)) for n in range(_TICKS)]
    by_day = len(hours) > 2 * _DAY
    return Chart(top, lines, [formats.tick(hours[at].at, by_day=by_day) for at in places])


def _points(values: Sequence[int], top: int, width: int, height: int) -> list[str]:
    step = width / max(len(values) - 1, 1)
    return [f"{n * step:.1f},{height - height * v / top:.1f}" for n, v in enumerate(values)]


def _round_up(most: int) -> int:
    """To a number that halves well, and that people read at a glance."""
    scale = 1
    while True:
        for step in (1, 2, 3, 4, 6, 8, 10):
            if step * scale >= most and step * scale % 2 == 0:
                return step * scale
        scale *= 10


def _sum(hours: Hours, wanted: Callable[[Row], bool]) -> Counter[str]:
    return total(sums for rows in hours.values() for row, sums in rows.items() if wanted(row))


def _cell(m: Counter[str]) -> Cell:
    proven = _share(m["proven"], m["sent"])
    unproven = m["delivered"] - m["proven_delivered"]
    return Cell(
        sent=m["sent"],
        delivered=_share(m["delivered"], m["sent"]),
        proven=proven,
        unproven=unproven,
        belied=m["proven_failed"],
        shade=0 if proven is None else round(min(proven, 1.0) * _MOST_SHADE),
        is_gap=m["delivered"] >= _ENOUGH and unproven > _GAP * m["delivered"],
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
    said = ("+" if change > 0 else "-") + formats.count(abs(change)) if change else "none"
    if change and before:
        said += f" ({100 * change / before:+.0f}\N{NO-BREAK SPACE}%)"
    is_material = abs(change) >= max(_MATERIAL * before, _MATERIAL * _ENOUGH)
    worse = is_material and (change > 0) == more_is_worse
    return Change(name, formats.count(now), formats.count(before), said, is_worse=worse)


def _shared(name: str, now: float | None, before: float | None) -> Change:
    change, is_worse = "-", False
    if now is not None and before is not None:
        points = round(100 * (now - before), 1)
        change, is_worse = (
            f"{points:+.1f}\N{NO-BREAK SPACE}points" if points else "none",
            before - now > _POINTS,
        )
    return Change(name, formats.share(now), formats.share(before), change, is_worse=is_worse)


def _timed(name: str, now: float | None, before: float | None) -> Change:
    change, is_worse = "-", False
    if now is not None and before is not None:
        seconds = round(now - before, 1)
        change = f"{seconds:+.1f}\N{NO-BREAK SPACE}s" if seconds else "none"
        is_worse = now - before > _MATERIAL * before
    return Change(name, formats.long(now), formats.long(before), change, is_worse=is_worse)
