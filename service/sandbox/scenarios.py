"""Magic recipients: what happens to a message, by the last four digits of its number."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of sender, as the sandbox lists them."""

    LONG_CODE = "long_code"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"
    NUMBER_POOL = "number_pool"


class Answer(StrEnum):
    """How the POST is answered."""

    ACCEPT = "accept"
    OPTED_OUT = "opted_out"
    NOT_A_MOBILE = "not_a_mobile"
    BUSY_TWICE = "busy_twice"
    LOST = "lost"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``final``: what the last report says, and ``shown`` what GET shows; ``None``: it stays ``sent``."""

    answer: Answer = Answer.ACCEPT
    final: str | None = "delivered"
    shown: str | None = "delivered"
    arrives: bool = True
    reports: bool = True
    confused: bool = False
    only_first_sender: bool = False
    only_kind: Kind | None = None


DELIVERED = Outcome()
_FAILED = Outcome(final="delivery_failed", shown="delivery_failed", arrives=False)

OUTCOMES: dict[str, Outcome] = {
    "0100": replace(_FAILED, only_first_sender=True),
    "0101": replace(_FAILED, final="sending_failed", shown="sending_failed"),
    "0102": Outcome(final="delivery_unconfirmed", shown="delivery_unconfirmed"),
    "0103": Outcome(final=None, shown=None),
    "0104": Outcome(reports=False),
    "0105": Outcome(answer=Answer.OPTED_OUT),
    "0106": Outcome(answer=Answer.NOT_A_MOBILE),
    "0107": Outcome(answer=Answer.BUSY_TWICE),
    "0108": Outcome(answer=Answer.LOST),
    "0109": Outcome(answer=Answer.SILENCE),
    "0110": Outcome(confused=True),
    "0111": replace(_FAILED, arrives=True),
    "0112": replace(_FAILED, only_kind=Kind.LONG_CODE),
    "0113": Outcome(arrives=False),
}


def is_outcome(digits: str) -> bool:
    """Whether four digits stand in the table (``0001`` to ``0099`` are delivered)."""
    return digits in OUTCOMES or (len(digits) == 4 and digits.isdecimal() and 0 < int(digits) < 100)


class Scenarios:
    """Outcomes set by hand, over the magic numbers."""

    def __init__(self) -> None:
        self._set: dict[tuple[str | None, Kind | None], str] = {}
        self._first: dict[str, str] = {}
        self._busy: dict[str, int] = {}

    def set(self, to: str | None, kind: Kind | None, outcome: str) -> None:
        self._set[to, kind] = outcome

    def outcome(self, to: str, kind: Kind, origin: str) -> Outcome:
        """The outcome of a message. What was set by hand is meant literally; of the magic numbers,
        ``0100`` fails only for the first ``origin`` that tries the number, so that a fallback arrives."""
        for key in ((to, kind), (to, None), (None, kind)):
            if key in self._set:
                return self._of_kind(OUTCOMES.get(self._set[key], DELIVERED), kind)
        found = OUTCOMES.get(to[-4:], DELIVERED)
        if found.only_first_sender and self._first.setdefault(to, origin) != origin:
            return DELIVERED
        return self._of_kind(found, kind)

    def busy(self, to: str) -> bool:
        """Whether the number's sends are still answered with 429: the first two are."""
        self._busy[to] = self._busy.get(to, 0) + 1
        return self._busy[to] <= 2

    @staticmethod
    def _of_kind(outcome: Outcome, kind: Kind) -> Outcome:
        return DELIVERED if outcome.only_kind not in (None, kind) else outcome
