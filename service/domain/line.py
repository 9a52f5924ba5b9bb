"""What Telnyx Number Lookup says of a recipient's line, and what the rules have to say of that."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from service.domain.recipient import NumberType, Recipient
from service.domain.rules import Action, Finding, Rule, Rules

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """``type`` is ``None`` where nothing is known of it; ``ported``: the day on which the number last
    changed its carrier."""

    type: NumberType | None = None
    ported: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupPolicy:
    """``timeout`` in seconds; ``keep``: how long an answer is good for, in milliseconds. A number that was
    ported within ``ported_days`` (0: never asked) may be in the hands of whoever took it over."""

    timeout: float = 2.0
    on_failure: Action = Action.ALLOW
    ported_days: int = 0
    ported_action: Action = Action.MONITOR
    keep: int = 86_400_000


def judge_line(
    recipient: Recipient, line: Line | None, rules: Rules, policy: LookupPolicy, now: int
) -> tuple[Finding, ...]:
    """What is to be said of a line, by the rules on number types that also hold for libphonenumber's
    types. ``None``: the look-up failed. ``now`` is in milliseconds since the epoch."""
    if line is None:
        found = [Finding(Rule.LOOKUP, FAILED, policy.on_failure)]
    else:
        found = _type_findings(recipient, line, rules)
        if line.ported is not None and _days_since(line.ported, now) <= policy.ported_days > 0:
            ported = line.ported.isoformat()
            found.append(Finding(Rule.RECENTLY_PORTED, ported, policy.ported_action))
    return tuple(finding for finding in found if finding.action is not Action.ALLOW)


def _type_findings(recipient: Recipient, line: Line, rules: Rules) -> list[Finding]:
    if line.type is None or line.type is recipient.number_type:
        return []  # The local rules have spoken of it.
    found = rules.judge(replace(recipient, number_type=line.type))
    return [finding for finding in found if finding.rule is Rule.NUMBER_TYPE]


def _days_since(day: date, now: int) -> int:
    return (datetime.fromtimestamp(now / 1000, UTC).date() - day).days


def dump_line(line: Line) -> dict[str, str]:
    """For the cache: nothing but the two facts."""
    facts = {"type": line.type, "ported": line.ported.isoformat() if line.ported else None}
    return {name: str(value) for name, value in facts.items() if value}


def load_line(facts: Mapping[str, str]) -> Line:
    type_, ported = facts.get("type"), facts.get("ported")
    return Line(
        NumberType(type_) if type_ else None, date.fromisoformat(ported) if ported else None
    )
