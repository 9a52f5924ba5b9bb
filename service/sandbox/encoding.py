"""How Telnyx encodes and counts a text: GSM-7 or UTF-16, and in how many parts."""

from dataclasses import dataclass

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED = frozenset("^{}\\[]~|€")
MAX_PARTS = 10


@dataclass(frozen=True, slots=True)
class Encoded:
    """``parts`` of 160 (153 when split) septets, or of 70 (67) UTF-16 units."""

    name: str
    parts: int


def is_gsm7(text: str) -> bool:
    return all(c in _GSM7 or c in _GSM7_ESCAPED for c in text)


def encode(text: str, wanted: str = "auto") -> Encoded:
    """Encode as Telnyx would; ``wanted`` is the request's ``encoding``."""
    if wanted != "ucs2" and is_gsm7(text):
        length = sum(2 if c in _GSM7_ESCAPED else 1 for c in text)
        return Encoded("GSM-7", _parts(length, 160, 153))
    return Encoded("UTF-16", _parts(len(text.encode("utf-16-le")) // 2, 70, 67))


def _parts(length: int, single: int, each: int) -> int:
    return 1 if length <= single else -(-length // each)
