"""In which order the senders of a plan are tried, and why.

What is compared are first messages only, whose sender neither the caller nor the person's own history
chose: a fallback goes to people whom another sender did not reach, and who has proven a code before is
likely to do so again. Which of them a sender gets is then chance alone, so the shares compare.

* A sender passes another only where that is clear: ``_LEAST`` messages of the one that is passed, and 90 %
  bounds of both shares, each less what a message costs in approvals, that do not touch. Else: as configured.
* ``explore`` of the starts, and no more, try another sender first, drawn by Thompson sampling, so that
  messages go where they may be of use. A sender that was passed for good reason gets, beyond those,
  ``_LEAST`` messages a day at most.
* The last hours count alone where they contradict the day before them.
* WhatsApp keeps its place: it is there for who gets no SMS. What is quarantined comes last of all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from service.domain.plan import Sender
from service.domain.proportion import bounds
from service.domain.quarantine import Quarantined
from service.domain.stats import HOUR, MICROS, Hours, Where

HOURS = 24
"""Full hours before the one that runs, over which evidence is gathered."""
KEEP_SENDER = 90 * 24 * HOUR
"""Milliseconds that it is remembered through which sender a person's code came."""
_RECENT = 1
_LEAST = 10
_CLEARLY, _SURELY = 1.64, 2.58


class Why(StrEnum):
    """Why a sender has its place: in the audit event of a start."""

    CONFIGURED = "configured"
    CONVERSION = "conversion"
    EXPLORATION = "exploration"
    STICKY = "sticky"
    TRIAL = "trial"
    QUARANTINED = "quarantined"
    REQUESTED = "requested"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderingPolicy:
    """``explore``: the share of starts that try another sender first. ``worth``: what an approval is
    worth, in micros of the currency of Telnyx's costs. ``trial``: the share of starts that may use a
    sender whose quarantine is to end as if it were well."""

    adaptive: bool = False
    sticky: bool = False
    quarantine: bool = False
    explore: float = 0.05
    worth: int = MICROS
    trial: float = 0.2

    @property
    def is_on(self) -> bool:
        return self.adaptive or self.sticky or self.quarantine


@dataclass(frozen=True, slots=True)
class Evidence:
    """First messages of a sender to a country, those whose code was typed in, and micros per message."""

    sent: float = 0.0
    proven: float = 0.0
    cost: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A sender's place in the order, and why it has it."""

    sender: Sender
    why: Why
    evidence: Evidence | None = None
    quarantined: Quarantined | None = None

    def to_members(self) -> dict[str, object]:
        """As it stands in the audit event."""
        found: dict[str, object] = {"sender": self.sender.name, "why": self.why}
        if self.evidence is not None:
            found |= {"sent": round(self.evidence.sent), "proven": round(self.evidence.proven)}
            if self.evidence.cost is not None:
                found["cost"] = self.evidence.cost / MICROS
        if self.quarantined is not None:
            q = self.quarantined
            found |= {"failed": q.failed, "of": q.known, "until": q.until}
        return found


def evidence_of(hours: Hours, now: int) -> dict[Where, Evidence]:
    """What the counters of the last ``HOURS`` say. ``now``: milliseconds since the epoch."""
    recent: dict[Where, Counter[str]] = {}
    day: dict[Where, Counter[str]] = {}
    for hour, senders in hours.items():
        for where, metrics in senders.items():
            day.setdefault(where, Counter()).update(metrics)
            if now // HOUR - hour <= _RECENT:
                recent.setdefault(where, Counter()).update(metrics)
    return {where: _evidence(recent.get(where, Counter()), whole) for where, whole in day.items()}


def _evidence(recent: Counter[str], day: Counter[str]) -> Evidence:
    seen = recent if _contradict(recent, day) else day
    costs = [name for name in day if name.startswith("cost.")]
    # Costs in two currencies are no price.
    cost = day[costs[0]] // day["sent"] if len(costs) == 1 and day["sent"] > 0 else None
    return Evidence(max(seen["first"], 0), max(seen["first_proven"], 0), cost)


def _contradict(recent: Counter[str], day: Counter[str]) -> bool:
    before, proven = day["first"] - recent["first"], day["first_proven"] - recent["first_proven"]
    if min(recent["first"], before) < _LEAST:
        return False
    low, high = bounds(recent["first_proven"], recent["first"], _SURELY)
    before_low, before_high = bounds(proven, before, _SURELY)
    return low > before_high or high < before_low


def order(
    plan: Sequence[Sender],
    policy: OrderingPolicy,
    dice: Random,
    *,
    now: int,
    evidence: Mapping[str, Evidence] | None = None,
    quarantined: Mapping[str, Quarantined] | None = None,
    sticky: str | None = None,
    explores: bool = True,
) -> tuple[Place, ...]:
    """The plan in the order of a start: always the same senders, each once.

    ``evidence`` and ``quarantined`` by sender, in the recipient's country. ``sticky``: through whom the
    recipient's last code came. ``explores``: something can be learnt of this start."""
    known = evidence or {}
    held = quarantined or {} if policy.quarantine else {}
    tried = {
        name for name, one in held.items() if one.until <= now and dice.random() < policy.trial
    }
    last = [sender for sender in plan if sender.name in held and sender.name not in tried]
    well = [sender for sender in plan if sender not in last]
    movable = [sender for sender in well if sender.kind.is_sms]
    chosen = iter(_ranked(movable, known, policy, dice, sticky=sticky, explores=explores))
    places = [next(chosen) if s.kind.is_sms else Place(s, Why.CONFIGURED) for s in well]
    return (
        *(_on_trial(place, held) if place.sender.name in tried else place for place in places),
        *(Place(s, Why.QUARANTINED, known.get(s.name), held[s.name]) for s in last),
    )


def as_given(plan: Sequence[Sender], why: Why) -> tuple[Place, ...]:
    """The plan as somebody fixed it."""
    return tuple(Place(sender, why) for sender in plan)


def _on_trial(place: Place, held: Mapping[str, Quarantined]) -> Place:
    return Place(place.sender, Why.TRIAL, place.evidence, held[place.sender.name])


def _ranked(
    senders: Sequence[Sender],
    known: Mapping[str, Evidence],
    policy: OrderingPolicy,
    dice: Random,
    *,
    sticky: str | None,
    explores: bool,
) -> list[Place]:
    kept = [s for s in senders if policy.sticky and s.name == sticky]
    if kept:
        rest = _by_conversion([s for s in senders if s is not kept[0]], known, policy)
        return [Place(kept[0], Why.STICKY, known.get(kept[0].name)), *rest]
    places = _by_conversion(senders, known, policy)
    if len(places) > 1 and policy.adaptive and explores and dice.random() < policy.explore:
        drawn = max(places[1:], key=lambda place: _sample(place.sender, known, policy, dice))
        explored = Place(drawn.sender, Why.EXPLORATION, drawn.evidence)
        return [explored, *(place for place in places if place is not drawn)]
    return places


def _by_conversion(
    senders: Sequence[Sender], known: Mapping[str, Evidence], policy: OrderingPolicy
) -> list[Place]:
    if not policy.adaptive:
        return [Place(sender, Why.CONFIGURED) for sender in senders]
    left, chosen = list(senders), list[Sender]()
    while left:
        better = [s for s in left[1:] if _is_better(s, left[0], known, policy)]
        best = max(better, key=lambda s: _middle(s, known, policy), default=left[0])
        left.remove(best)
        chosen.append(best)
    return [
        Place(s, Why.CONFIGURED if s is configured else Why.CONVERSION, known.get(s.name))
        for s, configured in zip(chosen, senders, strict=True)
    ]


def _is_better(
    one: Sender, other: Sender, known: Mapping[str, Evidence], policy: OrderingPolicy
) -> bool:
    """Whether it is clear enough that a first message is better sent through ``one``."""
    a, b = known.get(one.name, Evidence()), known.get(other.name, Evidence())
    if a.sent == 0 or b.sent < _LEAST:
        return False
    dearer = 0.0 if a.cost is None or b.cost is None else (a.cost - b.cost) / policy.worth
    return bounds(a.proven, a.sent, _CLEARLY)[0] - dearer > bounds(b.proven, b.sent, _CLEARLY)[1]


def _middle(sender: Sender, known: Mapping[str, Evidence], policy: OrderingPolicy) -> float:
    found = known[sender.name]
    return found.proven / found.sent - (found.cost or 0) / policy.worth


def _sample(
    sender: Sender, known: Mapping[str, Evidence], policy: OrderingPolicy, dice: Random
) -> float:
    found = known.get(sender.name, Evidence())
    missed = max(found.sent - found.proven, 0.0)
    return dice.betavariate(found.proven + 1, missed + 1) - (found.cost or 0) / policy.worth
