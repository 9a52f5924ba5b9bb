"""What a simulation came to, and how sure that is.

People are dealt into ``GROUPS`` groups. Each figure is computed anew without each group in turn (the
delete-one-group jackknife: Quenouille 1956, Tukey 1958), which bounds ratios and differences alike.
Of two configurations a group has the same people, so their luck cancels out.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.domain.verification import Reason, Status
from service.simulation.engine import Ended

GROUPS = 40
SOON = 60_000
_SURE = 1.96
_ASKED = (Reason.INITIAL, Reason.RESEND)

Sums = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure; with 95 % confidence the truth of this model lies between ``low`` and ``high``."""

    value: float
    low: float
    high: float


FIGURES: Mapping[str, Callable[[Sums], float]] = {
    "approved": lambda s: _ratio(s, "approved", "logins"),
    "approved within 60 s": lambda s: _ratio(s, "soon", "logins"),
    "undeliverable": lambda s: _ratio(s, "undeliverable", "logins"),
    "cost per approval": lambda s: _ratio(s, "cost", "approved"),
    "messages per approval": lambda s: _ratio(s, "messages", "approved"),
    "fallbacks per login": lambda s: _ratio(s, "fallbacks", "logins"),
}
SHARES = {"approved", "approved within 60 s", "undeliverable"}


@dataclass(slots=True)
class Tally:
    """Adds up what became of logins. ``fallbacks`` by country and reason, ``first`` by why the first sender
    was first, ``seconds`` until approval."""

    groups: list[Counter[str]] = field(default_factory=lambda: [Counter() for _ in range(GROUPS)])
    countries: dict[str, list[Counter[str]]] = field(default_factory=dict)
    fallbacks: dict[str, Counter[str]] = field(default_factory=dict)
    first: Counter[str] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)

    def add(self, ended: Ended) -> None:
        found = _sums(ended)
        group = ended.person % GROUPS
        of_country = self.countries.setdefault(ended.country, [Counter() for _ in range(GROUPS)])
        for name, by in found.items():
            self.groups[group][name] += by  # type: ignore[assignment]
            of_country[group][name] += by  # type: ignore[assignment]
        if ended.verification is not None:
            reasons = [d.reason for d in ended.verification.deliveries if d.reason not in _ASKED]
            self.fallbacks.setdefault(ended.country, Counter()).update(map(str, reasons))
        if ended.why is not None:
            self.first[ended.why] += 1
        if ended.approved_after is not None:
            self.seconds[ended.approved_after // 1000] += 1

    @property
    def all_fallbacks(self) -> Counter[str]:
        return sum(self.fallbacks.values(), Counter())

    @property
    def logins(self) -> int:
        return int(sum(group["logins"] for group in self.groups))

    def within(self, seconds: int) -> float:
        """The share of all logins that are approved by then."""
        soon = sum(n for second, n in self.seconds.items() if second < seconds)
        return soon / self.logins if self.logins else 0.0


def _sums(ended: Ended) -> dict[str, float]:
    v = ended.verification
    if v is None:
        return {"logins": 1, "refused": 1}
    return {
        "logins": 1,
        "approved": ended.approved_after is not None,
        "soon": ended.approved_after is not None and ended.approved_after <= SOON,
        "undeliverable": v.status is Status.UNDELIVERABLE,
        "messages": v.messages,
        "fallbacks": sum(d.reason not in _ASKED for d in v.deliveries),
        "cost": ended.cost,
    }


def figures(groups: Sequence[Sums]) -> dict[str, Figure]:
    """Every figure of one configuration."""
    return {name: _figure(figure, groups) for name, figure in FIGURES.items()}


def differences(before: Sequence[Sums], after: Sequence[Sums]) -> dict[str, Figure]:
    """By how much each figure of ``after`` is more than that of ``before``."""
    paired = [
        {f"a:{k}": v for k, v in a.items()} | {f"b:{k}": v for k, v in b.items()}
        for a, b in zip(before, after, strict=True)
    ]
    return {name: _figure(_difference(figure), paired) for name, figure in FIGURES.items()}


def _difference(figure: Callable[[Sums], float]) -> Callable[[Sums], float]:
    def by(sums: Sums) -> float:
        sides = [
            Counter({k[2:]: v for k, v in sums.items() if k.startswith(side)})
            for side in ("a:", "b:")
        ]
        return figure(sides[1]) - figure(sides[0])

    return by


def _figure(figure: Callable[[Sums], float], groups: Sequence[Sums]) -> Figure:
    whole = _add(groups)
    value = figure(whole)
    without = [
        figure({name: n - group.get(name, 0) for name, n in whole.items()}) for group in groups
    ]
    mean = sum(without) / len(without)
    variance = (len(without) - 1) / len(without) * sum((one - mean) ** 2 for one in without)
    by = _SURE * math.sqrt(variance)
    return Figure(value, value - by, value + by)


def _add(groups: Sequence[Sums]) -> dict[str, float]:
    summed: dict[str, float] = {}
    for group in groups:
        for name, by in group.items():
            summed[name] = summed.get(name, 0.0) + by
    return summed


def _ratio(sums: Sums, part: str, whole: str) -> float:
    return sums.get(part, 0.0) / sums[whole] if sums.get(whole) else 0.0
