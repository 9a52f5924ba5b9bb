"""How Telnyx encodes a text, and in how many segments it is sent and billed.

Sources: 3GPP TS 23.038 (alphabet and its extension); Telnyx's page on encoding (160 and 153 septets, 70 and
67 UTF-16 units). A single character outside the GSM-7 alphabet makes the whole text UCS-2.
"""

from dataclasses import dataclass
from enum import StrEnum

# Telnyx's own table lacks a few characters of the standard's (Greek capitals among them), so
# this is the part that both agree on.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà_"
)
_EXTENDED = frozenset("^{}\\[]~|€")
MOST_SEGMENTS = 3
"""Of a code's message: what is longer arrives late, or in pieces."""


class Encoding(StrEnum):
    """What a text is sent in."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


_ROOM = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}


@dataclass(frozen=True, slots=True)
class Size:
    """``units``: septets, or UTF-16 units; ``left``: how many more fit into the same segments."""

    encoding: Encoding
    units: int
    segments: int

    @property
    def left(self) -> int:
        return room(self.encoding, self.segments) - self.units


def septets(text: str) -> int | None:
    """Length in GSM-7 septets; ``None`` if a character is outside the alphabet."""
    total = 0
    for character in text:
        if character in _BASIC:
            total += 1
        elif character in _EXTENDED:
            total += 2
        else:
            return None
    return total


def measure(text: str) -> Size:
    """The text as it is sent."""
    length = septets(text)
    encoding = Encoding.UCS_2 if length is None else Encoding.GSM_7
    units = len(text.encode("utf-16-le")) // 2 if length is None else length
    single, each = _ROOM[encoding]
    return Size(encoding, units, 1 if units <= single else -(-units // each))


def room(encoding: Encoding, segments: int) -> int:
    """How many units the segments hold together."""
    single, each = _ROOM[encoding]
    return single if segments == 1 else segments * each
