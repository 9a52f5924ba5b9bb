"""Quarantine of a sender whose failures spike in a country: for a while it is tried last there.

A breaker (``service.domain.breaker``) holds messages back because Telnyx said that it takes none. A
quarantine holds nothing back: it is our own judgement, from what became of the messages of some minutes
against what is usual, and the sender stays in the plan, at its end.

Counted are failures for certain that are not the recipient's own, of messages whose end is known. Silence is
not a failure; a code that was typed in means that its message came, whatever was reported.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from service.domain.proportion import bounds
from service.domain.stats import Hours, Where

_SURELY, _LIKELY = 2.33, 1.64
_FAILED_AGAIN = 3


class Outcomes(NamedTuple):
    """Messages that failed for certain, of those whose end is known."""

    failed: int = 0
    known: int = 0

    def plus(self, other: "Outcomes") -> "Outcomes":
        return Outcomes(self.failed + other.failed, self.known + other.known)

    def minus(self, other: "Outcomes") -> "Outcomes":
        # A proof takes a failure back, which may have been counted before the window.
        return Outcomes(max(self.failed - other.failed, 0), max(self.known - other.known, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinePolicy:
    """``window``: what is looked at; ``least``: failures in it, below which nothing is concluded;
    ``share``: of failures, below which no sender is quarantined however rarely it fails. ``hold``: how
    long it lasts for the first time, twice as long each further time in a row, at most
    ``longest_hold``. Then ``tried`` messages whose end is known decide. Times in milliseconds."""

    window: int = 300_000
    least: int = 8
    share: float = 0.2
    hold: int = 600_000
    longest_hold: int = 4 * 3_600_000
    tried: int = 8


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Since when, until when (milliseconds), for which time in a row, and the figures that led to it. After
    ``until`` some starts try it."""

    since: int
    until: int
    strikes: int
    failed: int
    known: int
    usual: float

    @property
    def share(self) -> float:
        """Of failures."""
        return round(self.failed / self.known, 2)


@dataclass(frozen=True, slots=True)
class Change:
    """A sender is quarantined (``now`` says how), or well again (``now`` is ``None``). ``before``: its
    strikes until now."""

    where: Where
    before: int
    now: Quarantined | None


Totals = Mapping[int, Mapping[Where, Outcomes]]
"""Outcomes by the hour in which the messages were begun; they only grow."""


class Watch:
    """Looks at growing totals now and then. What was before its first look is no spike to it."""

    def __init__(self, policy: QuarantinePolicy) -> None:
        self._policy = policy
        self._looks: deque[tuple[int, Totals]] = deque()
        self._since: dict[Where, tuple[int, Totals]] = {}

    def look(
        self, now: int, totals: Totals, quarantined: Mapping[Where, Quarantined]
    ) -> list[Change]:
        """What changes, from the totals as they are and the quarantines as they stand."""
        if self._looks and now - self._looks[-1][0] > self._policy.window:
            self._looks.clear()
            self._since.clear()
        self._looks.append((now, totals))
        while len(self._looks) > 1 and self._looks[1][0] <= now - self._policy.window:
            self._looks.popleft()
        return list(self._changes(now, totals, quarantined))

    def _changes(
        self, now: int, totals: Totals, quarantined: Mapping[Where, Quarantined]
    ) -> Iterator[Change]:
        wheres = {where for of_hour in totals.values() for where in of_hour} | set(quarantined)
        for where in sorted(wheres):
            held = quarantined.get(where)
            if held is not None and now < held.until:
                continue
            since = self._since[where][0] if where in self._since else 0
            if held is not None and since < held.until:
                self._since[where] = (now, totals)
            elif held is None and since <= self._looks[0][0]:
                self._since.pop(where, None)
            change = self._judge(where, held, now, totals)
            if change is not None:
                # What led here counts no second time.
                self._since[where] = (now, totals)
                yield change

    def _judge(
        self, where: Where, held: Quarantined | None, now: int, totals: Totals
    ) -> Change | None:
        if held is not None:
            return self._on_trial(where, held, now, totals)
        whole = _of(where, totals)
        if whole.failed < self._policy.least:
            return None
        for base in self._bases(where, now):
            seen = whole.minus(_of(where, base, totals))
            usual = _usual(whole.minus(seen), self._policy.share)
            if seen.failed >= self._policy.least and self._fails(seen, usual, _SURELY):
                return Change(where, 0, self._quarantine(now, 1, seen, usual))
        return None

    def _bases(self, where: Where, now: int) -> tuple[Totals, ...]:
        """What the window is counted from; and a fifth of it, in which a sender that just broke shows."""
        if where in self._since:
            return (self._since[where][1],)
        lately = [base for at, base in self._looks if at <= now - self._policy.window // 5]
        return (self._looks[0][1], *lately[-1:])

    def _on_trial(self, where: Where, held: Quarantined, now: int, totals: Totals) -> Change | None:
        seen = _of(where, totals).minus(_of(where, self._since[where][1], totals))
        # By what was usual before: its own failures must not become that.
        if seen.failed >= _FAILED_AGAIN and self._fails(seen, held.usual, _LIKELY):
            longer = self._quarantine(now, held.strikes + 1, seen, held.usual)
            return Change(where, held.strikes, longer)
        passed = (
            seen.known >= self._policy.tried and seen.failed <= self._limit(held.usual) * seen.known
        )
        # Where next to nothing is sent, time decides: should it fail still, it is back soon.
        forgotten = now - held.until >= self._policy.longest_hold
        return Change(where, held.strikes, None) if passed or forgotten else None

    def _fails(self, seen: Outcomes, usual: float, z: float) -> bool:
        return bounds(*seen, z)[0] > self._limit(usual)

    def _limit(self, usual: float) -> float:
        """The share of failures that is borne: twice the usual one, but for a sender that mostly fails."""
        return max(self._policy.share, min(2 * usual, (1 + usual) / 2))

    def _quarantine(self, now: int, strikes: int, seen: Outcomes, usual: float) -> Quarantined:
        hold = min(self._policy.hold << min(strikes - 1, 32), self._policy.longest_hold)
        return Quarantined(now, now + hold, strikes, seen.failed, seen.known, round(usual, 3))


def totals_of(hours: Hours) -> Totals:
    """The outcomes that the counters tell."""
    return {
        hour: {where: _outcomes(metrics) for where, metrics in senders.items()}
        for hour, senders in hours.items()
    }


def _outcomes(metrics: Mapping[str, int]) -> Outcomes:
    failed = metrics.get("faulted", 0)
    return Outcomes(failed, failed + metrics.get("delivered", 0) + metrics.get("unconfirmed", 0))


def _of(where: Where, totals: Totals, hours: Totals | None = None) -> Outcomes:
    """The sum of the hours that ``hours`` has, too."""
    failed = known = 0
    for hour, of_hour in totals.items():
        if where in of_hour and (hours is None or hour in hours):
            more_failed, more_known = of_hour[where]
            failed, known = failed + more_failed, known + more_known
    return Outcomes(failed, known)


def _usual(before: Outcomes, share: float) -> float:
    """The usual share of failures; a fourth of ``share`` weighs as twenty messages where few were sent."""
    return (before.failed + 20 * share / 4) / (before.known + 20)
