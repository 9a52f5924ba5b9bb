"""What an inbound text asks for: STOP, START or neither.

The words are those of 47 CFR 64.1200(a)(10) and the CTIA, wider than Telnyx's own block list: REVOKE
and OPT OUT reach the service only as ordinary inbound texts.
"""

import re
from enum import StrEnum

_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
_START = frozenset({"start", "unstop", "yes", "optin"})
_NOT_A_LETTER = re.compile(r"[^a-z]+")


class Request(StrEnum):
    """What the person who wrote wants."""

    STOP = "stop"
    START = "start"


def read_request(text: str) -> Request | None:
    """Read a whole message; case, blanks and punctuation do not matter (``Stop All!`` is STOP)."""
    word = _NOT_A_LETTER.sub("", text.casefold())
    if word in _STOP:
        return Request.STOP
    if word in _START:
        return Request.START
    return None
