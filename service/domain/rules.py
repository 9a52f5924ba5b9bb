"""Rules on countries and number types: who gets codes, before anything is counted or sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from service.domain.recipient import NumberType, Recipient

ANY_COUNTRY = "*"


class Action(StrEnum):
    """``monitor`` sends and marks the event; ``record_only`` sends and records that ``block`` would
    not have: the rehearsal of a block."""

    ALLOW = "allow"
    BLOCK = "block"
    MONITOR = "monitor"
    RECORD_ONLY = "record_only"


class Rule(StrEnum):
    COUNTRY = "country"
    NUMBER_TYPE = "number_type"
    LOOKUP = "lookup"
    RECENTLY_PORTED = "recently_ported"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is not content with a recipient, and what it looked at."""

    rule: Rule
    value: str
    action: Action

    def to_event(self) -> dict[str, object]:
        found: dict[str, object] = {
            "rule": self.rule,
            "value": self.value,
            "action": self.action,
        }
        if self.action is Action.RECORD_ONLY:
            found["would"] = Action.BLOCK
        return found


@dataclass(frozen=True, slots=True)
class Rules:
    """Actions by country (ISO 3166-1 alpha-2, or ``*`` for all others) and by number type; what is not
    named is allowed."""

    countries: Mapping[str, Action] = field(default_factory=dict)
    number_types: Mapping[NumberType, Action] = field(default_factory=dict)

    def judge(self, recipient: Recipient) -> tuple[Finding, ...]:
        """What is to be said of a recipient, the country first."""
        anywhere = self.countries.get(ANY_COUNTRY, Action.ALLOW)
        found = (
            Finding(
                Rule.COUNTRY,
                recipient.country,
                self.countries.get(recipient.country, anywhere),
            ),
            Finding(
                Rule.NUMBER_TYPE,
                recipient.number_type,
                self.number_types.get(recipient.number_type, Action.ALLOW),
            ),
        )
        return tuple(finding for finding in found if finding.action is not Action.ALLOW)
