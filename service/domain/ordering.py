"""In which order the senders of a plan are tried, and why.

What is compared are first messages only, whose sender neither the caller nor the person's own history
chose: a fallback goes to people whom another sender did not reach, and who has proven a code before is
likely to do so again. Which of them a sender gets is then chance alone, so the shares compare.

* A sender passes another only where that is clear: ``_LEAST`` messages of the one that is passed, and 90 %
  bounds of both shares, each less what a message costs in approvals, that do not touch. Else: as configured.
* ``explore`` of the starts, and no more, try another sender first, drawn by Thompson sampling, so that
  messages go where they may be of use. A sender that was passed for good reason gets, beyond those,
  ``_LEAST`` messages a day at most.
* Evidence goes back to where it contradicts what came after it by far, at most a day: a sender that breaks
  is judged by what it does since, and one that is well again too.
* WhatsApp keeps its place: it is there for who gets no SMS. What is quarantined comes last of all.
"""

from collections.abc import Iterable, Mapping, Sequence
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
_LEAST = 10
_CLEARLY, _SURELY = 1.64, 2.58
_FAR = 0.1
"""Hours of the day differ a little; this much they do not."""


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
        """As it stands in the audit event: shares, for an app may read it, and how much is sent is all
        apps'."""
        found: dict[str, object] = {"sender": self.sender.name, "why": self.why}
        if self.evidence is not None and self.evidence.sent:
            found["proven"] = round(self.evidence.proven / self.evidence.sent, 2)
        if self.evidence is not None and self.evidence.cost is not None:
            found["cost"] = self.evidence.cost / MICROS
        if self.quarantined is not None:
            found |= {"failing": self.quarantined.share, "until": self.quarantined.until}
        return found


def evidence_of(hours: Hours) -> dict[Where, Evidence]:
    """What the counters of some hours say."""
    found: dict[Where, list[Mapping[str, int]]] = {}
    for hour in sorted(hours, reverse=True):
        for where, metrics in hours[hour].items():
            found.setdefault(where, []).append(metrics)
    return {where: _evidence(newest_first) for where, newest_first in found.items()}


def _evidence(newest_first: Sequence[Mapping[str, int]]) -> Evidence:
    sent, proven = _lately(
        [(max(m.get("first", 0), 0), max(m.get("first_proven", 0), 0)) for m in newest_first]
    )
    messages = sum(m.get("sent", 0) for m in newest_first)
    costs = {name for m in newest_first for name in m if name.startswith("cost.")}
    cost = None
    if messages > 0 and len(costs) == 1:  # Costs in two currencies are no price.
        (currency,) = costs
        cost = sum(m.get(currency, 0) for m in newest_first) // messages
    return Evidence(sent, proven, cost)


def _lately(newest_first: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Sent and proven, back to where they contradict what came after."""
    sent = proven = of_block = proven_of_block = 0
    for more, proven_of_more in newest_first:
        of_block, proven_of_block = of_block + more, proven_of_block + proven_of_more
        if of_block < _LEAST:
            continue
        if sent and _contradict((proven, sent), (proven_of_block, of_block)):
            return sent, proven
        sent, proven = sent + of_block, proven + proven_of_block
        of_block = proven_of_block = 0
    return sent + of_block, proven + proven_of_block


def _contradict(one: tuple[int, int], other: tuple[int, int]) -> bool:
    low, high = bounds(*one, _SURELY)
    other_low, other_high = bounds(*other, _SURELY)
    return low > other_high + _FAR or high < other_low - _FAR


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
