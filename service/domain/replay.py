"""What a changed policy on SMS pumping would have done with what was recorded, by the rule of the service.

A record cannot tell everything: a start that was refused then, and would not be now, counts as a message
whose code was never proven. One that is refused now has no resends, and proves nothing.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.domain.audit import EventType
from service.domain.ledger import Ledger
from service.domain.pumping import RULE, Dimension, Exemption, Mode, PumpingPolicy, Suspicion

_REMEMBERED = 3_600_000
"""How long (milliseconds) a verification is remembered here: longer than any code lives."""
_MESSAGES = {EventType.VERIFICATION_CREATED, EventType.RESEND_ASKED}
_KEPT = {EventType.VERIFICATION_APPROVED, EventType.GUARD_BLOCKED, *_MESSAGES}
# What a policy without the plain number and address cannot judge again stays as it was.
_STILL_EXEMPT = {Exemption.KNOWN, Exemption.PREFIX, Exemption.CLIENT}


@dataclass(slots=True)
class Row:
    """Messages that were asked for, those blocked (or marked by ``record_only``) then and now, and of each
    those whose code was proven all the same: the false blocks that can be known."""

    asked: int = 0
    before: int = 0
    after: int = 0
    proven_before: int = 0
    proven_after: int = 0


@dataclass(slots=True)
class Difference:
    """By country, and how many were blocked by which dimension then and now."""

    total: Row = field(default_factory=Row)
    countries: dict[str, Row] = field(default_factory=dict)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Started:
    at: int
    before: str | None
    after: str | None


def is_of_interest(event: Mapping[str, Any]) -> bool:
    """Whether the event is a decision, or a proof, that replay looks at."""
    if event.get("type") not in _KEPT or "keys" not in event:
        return False
    return event["type"] != EventType.GUARD_BLOCKED or event.get("rule") == RULE


def replay(events: Iterable[Mapping[str, Any]], policy: PumpingPolicy) -> Difference:
    """Judge recorded events of interest, in order of time.

    Raises:
        KeyError, ValueError: an event lacks what it must have.
    """
    run = _Run(policy)
    for event in events:
        run.feed(event)
    return run.difference


class _Run:
    def __init__(self, policy: PumpingPolicy) -> None:
        self.difference = Difference()
        self._policy = policy
        self._ledger = Ledger(policy)
        self._started: OrderedDict[str, _Started] = OrderedDict()

    def feed(self, event: Mapping[str, Any]) -> None:
        while self._started:
            id_, oldest = next(iter(self._started.items()))
            if oldest.at + _REMEMBERED > event["at"]:
                break
            del self._started[id_]
        if event["type"] == EventType.VERIFICATION_APPROVED:
            self._approved(event)
        else:
            self._asked(event)

    def _asked(self, event: Mapping[str, Any]) -> None:
        id_ = event.get("verification", "")
        started = self._started.get(id_)
        then, now = _recorded(event), started.after if started is not None else None
        if now is None and (suspicion := self._judge(event)) is not None:
            now = suspicion.dimension
        for row in self._rows(event):
            row.asked += 1
            row.before += then is not None
            row.after += now is not None
        if then is not None:
            self.difference.before[then] += 1
        if now is not None:
            self.difference.after[now] += 1
        if event["type"] == EventType.VERIFICATION_CREATED:
            self._started[id_] = _Started(event["at"], then, now)

    def _approved(self, event: Mapping[str, Any]) -> None:
        started = self._started.pop(event["verification"], None)
        if started is not None:
            for row in self._rows(event):
                row.proven_before += started.before is not None
                row.proven_after += started.after is not None
        if started is None or started.after is None:
            self._ledger.prove(_keys(event), event["at"], event.get("messages", 1))

    def _judge(self, event: Mapping[str, Any]) -> Suspicion | None:
        if self._policy.mode is Mode.OFF:
            return None
        safe = self._policy.safe.exempts_place(event["country"], event["app"]) is not None
        exempt = safe or event.get("exempt") in _STILL_EXEMPT
        return self._ledger.start(_keys(event), event["at"], exempt=exempt)

    def _rows(self, event: Mapping[str, Any]) -> tuple[Row, Row]:
        difference = self.difference
        return difference.total, difference.countries.setdefault(event["country"], Row())


def _keys(event: Mapping[str, Any]) -> dict[Dimension, str]:
    return {Dimension(name): digest for name, digest in event["keys"].items()}


def _recorded(event: Mapping[str, Any]) -> str | None:
    """The dimension under which it was blocked, or would have been."""
    if event["type"] == EventType.GUARD_BLOCKED:
        return str(event["dimension"])
    for finding in event.get("guard", ()):
        if finding["rule"] == RULE:
            return str(finding["dimension"])
    return None
