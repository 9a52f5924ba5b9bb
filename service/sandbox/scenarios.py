"""Magic recipients: what happens to a message, by the last four digits of its number."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from service.sandbox.bounded import Bounded


class Kind(StrEnum):
    """The kinds of sender, as the sandbox lists them."""

    LONG_CODE = "long_code"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"
    NUMBER_POOL = "number_pool"
    WHATSAPP = "whatsapp"


class Answer(StrEnum):
    """How the POST is answered."""

    ACCEPT = "accept"
    OPTED_OUT = "opted_out"
    NOT_A_MOBILE = "not_a_mobile"
    BUSY_TWICE = "busy_twice"
    LOST = "lost"
    SILENCE = "silence"
    REFUSED = "refused"


class Reports(StrEnum):
    """Which webhooks go out. ``CONFUSED``: each of them twice, the final one first."""

    IN_ORDER = "in_order"
    CONFUSED = "confused"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of a message; ``final`` is its last status, ``None`` if it stays ``sent``.

    ``error``: Telnyx's code, where the answer is ``REFUSED``. ``only_first_sender``, ``only_kind`` and
    ``only_sms`` narrow whom it befalls; the others deliver."""

    answer: Answer = Answer.ACCEPT
    final: str | None = "delivered"
    reports: Reports = Reports.IN_ORDER
    arrives: bool = True
    error: str = ""
    only_first_sender: bool = False
    only_kind: Kind | None = None
    only_sms: bool = False


DELIVERED = Outcome()
_FAILED = Outcome(final="delivery_failed", arrives=False)

OUTCOMES: dict[str, Outcome] = {
    "0100": replace(_FAILED, only_first_sender=True),
    "0101": replace(_FAILED, final="sending_failed"),
    "0102": Outcome(final="delivery_unconfirmed"),
    "0103": Outcome(final=None),
    "0104": Outcome(reports=Reports.NONE),
    "0105": Outcome(answer=Answer.OPTED_OUT),
    "0106": Outcome(answer=Answer.NOT_A_MOBILE, only_sms=True),
    "0107": Outcome(answer=Answer.BUSY_TWICE),
    "0108": Outcome(answer=Answer.LOST),
    "0109": Outcome(answer=Answer.SILENCE),
    "0110": Outcome(reports=Reports.CONFUSED),
    "0111": replace(_FAILED, arrives=True),
    "0112": replace(_FAILED, only_kind=Kind.LONG_CODE),
    "0113": Outcome(arrives=False),
}
REFUSALS = {
    code: Outcome(answer=Answer.REFUSED, error=code, arrives=False) for code in ("40020", "40333")
}
"""Set by hand only, by Telnyx's own code: no number ends in them."""
_PLAIN = re.compile(r"00(?!00)[0-9]{2}")


def is_outcome(digits: str) -> bool:
    """Whether four digits stand in the table (``0001`` to ``0099`` are delivered), or it is an error's
    code."""
    return digits in OUTCOMES or digits in REFUSALS or _PLAIN.fullmatch(digits) is not None


class Scenarios:
    """The outcome of each message: set by hand, or else by the magic numbers."""

    def __init__(self) -> None:
        self._set: Bounded[tuple[str | None, Kind | None], str] = Bounded()
        self._first: Bounded[str, str] = Bounded()
        self._busy: Bounded[str, int] = Bounded()

    def set(self, to: str | None, kind: Kind | None, outcome: str) -> None:
        """Set an outcome; what it covers is counted from the beginning again."""
        self._set[to, kind] = outcome
        if to is None:
            self._busy.clear()
        else:
            self._busy.pop(to, None)

    def newest(self, count: int) -> list[dict[str, str | None]]:
        """At most ``count`` of the outcomes that were set by hand, the newest last."""
        newest = list(islice(reversed(self._set.items()), count))
        return [{"to": to, "kind": kind, "outcome": found} for (to, kind), found in newest[::-1]]

    def outcome(self, to: str, kind: Kind, origin: str) -> Outcome:
        """The outcome of a message. What was set by hand is meant literally; of the magic numbers,
        ``0100`` fails only for the first ``origin`` that tries the number, so that a fallback arrives."""
        for key in ((to, kind), (to, None), (None, kind)):
            if key in self._set:
                found = {**OUTCOMES, **REFUSALS}.get(self._set[key], DELIVERED)
                # Who names the kind WhatsApp means it.
                only_sms = found.only_sms and key[1] is None
                return self._of_kind(replace(found, only_sms=only_sms), kind)
        found = OUTCOMES.get(to[-4:], DELIVERED)
        if found.only_first_sender:
            if to not in self._first:
                self._first[to] = origin
            return found if self._first[to] == origin else DELIVERED
        return self._of_kind(found, kind)

    def is_busy(self, to: str) -> bool:
        """Count a send to the number; the first two are answered with 429."""
        self._busy[to] = self._busy.get(to, 0) + 1
        return self._busy[to] <= 2

    @staticmethod
    def _of_kind(outcome: Outcome, kind: Kind) -> Outcome:
        spared = outcome.only_kind not in (None, kind) or (
            outcome.only_sms and kind is Kind.WHATSAPP
        )
        return DELIVERED if spared else outcome
