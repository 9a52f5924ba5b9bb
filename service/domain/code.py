"""The one-time code: drawn, read, and turned into the digest that alone is stored.

The digest is ``argon2id(HMAC-SHA256(pepper, verification id || code), salt)``. The pepper lives
outside Redis and makes a stolen store useless; argon2id is the second net, for the day the pepper
leaks too (a 6-digit code has only 10^6 values). The salt is one per verification, so that checking
a typed code costs one hash however many deliveries there were.
"""

import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import log2

from argon2.low_level import Type, hash_secret_raw

MIN_LENGTH = 4
MAX_LENGTH = 10
MIN_BITS = 20
"""OWASP ASVS 5.0, 6.5.4. 4 and 5 digits are allowed all the same: people ask for them."""
SALT_BYTES = 16  # RFC 9106 section 3.1: 16 bytes is recommended for password hashing
DIGEST_BYTES = 32

_FORM = re.compile(rf"[0-9A-Z]{{{MIN_LENGTH},{MAX_LENGTH}}}", re.ASCII)
_MINUS = "\u2212"


class Alphabet(StrEnum):
    """What a code is made of. ``letters`` are those of RFC 8628 section 6.1: no vowels, so no words.
    ``mixed`` leaves out what looks like something else, and has a digit always: Android's User
    Consent API takes nothing for a code that has none."""

    DIGITS = "digits"
    LETTERS = "letters"
    MIXED = "mixed"

    @property
    def characters(self) -> str:
        return _CHARACTERS[self]

    def has(self, code: str) -> bool:
        """Whether it can have made this code."""
        return set(code) <= set(self.characters) and not self._lacks_digit(code)

    def values(self, length: int) -> int:
        """How many codes there are of this length."""
        without_digit = sum(not c.isdigit() for c in self.characters)
        refused = pow(without_digit, length) if self is Alphabet.MIXED else 0
        return int(pow(len(self.characters), length) - refused)

    def bits(self, length: int) -> float:
        """The entropy of a code."""
        return log2(self.values(length))

    def allows(self, length: int) -> bool:
        """Whether codes of this length are strong enough."""
        return self is Alphabet.DIGITS or self.bits(length) >= MIN_BITS

    def _lacks_digit(self, code: str) -> bool:
        return self is Alphabet.MIXED and not any(c.isdigit() for c in code)


_CHARACTERS = {
    Alphabet.DIGITS: "0123456789",
    Alphabet.LETTERS: "BCDFGHJKLMNPQRSTVWXZ",
    Alphabet.MIXED: "CDFHJKMNPRTVWX34679",
}


class Grouping(StrEnum):
    """What stands between the groups of a code, where a person reads it."""

    NONE = "none"
    BLANK = "blank"
    DASH = "dash"


_BETWEEN = {Grouping.NONE: "", Grouping.BLANK: " ", Grouping.DASH: "-"}


class Code:
    """A code in plain text. It does not print, compare or serialise; ``reveal`` is the one way out."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        self._digits = digits

    def reveal(self) -> str:
        """The characters, for the message text and for the digest only."""
        return self._digits

    def __repr__(self) -> str:
        return "Code(******)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a code is not serialised")


@dataclass(frozen=True, slots=True)
class HashCost:
    """Cost of argon2id: memory in KiB, passes over it, lanes."""

    memory_kib: int
    iterations: int
    lanes: int


HASH_PROFILES = {
    # OWASP Password Storage Cheat Sheet: minimum for argon2id.
    "owasp": HashCost(19_456, 2, 1),
    # RFC 9106 section 4, second recommended option.
    "rfc9106-low-memory": HashCost(65_536, 3, 4),
    # Below any published recommendation: the pepper alone protects. For many logins on small machines.
    "light": HashCost(1_024, 1, 1),
    "minimum": HashCost(512, 1, 1),
}


def draw_code(
    length: int, below: Callable[[int], int], alphabet: Alphabet = Alphabet.DIGITS
) -> Code:
    """A new code; ``below(n)`` must give a uniform number in [0, n) from a CSPRNG."""
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise ValueError(f"a code has {MIN_LENGTH} to {MAX_LENGTH} characters")
    characters = alphabet.characters
    while True:
        drawn = below(len(characters) ** length)
        code = ""
        for _ in range(length):
            drawn, at = divmod(drawn, len(characters))
            code = characters[at] + code
        if alphabet.has(
            code
        ):  # Drawn again as a whole, so that all that are left are alike likely.
            return Code(code)


def read_code(typed: str) -> Code | None:
    """A code as a person types or pastes it: blanks, dashes and invisible marks are dropped, digits of
    any script and lower case are read; ``None`` if it can be no code of any alphabet."""
    read = "".join(_read(character) for character in unicodedata.normalize("NFKC", typed))
    if not _FORM.fullmatch(read) or not alphabets_of(Code(read)):
        return None
    return Code(read)


def _read(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace() or category in ("Pd", "Cf") or character == _MINUS:
        return ""
    return str(unicodedata.decimal(character)) if category == "Nd" else character.upper()


def alphabets_of(code: Code) -> tuple[Alphabet, ...]:
    """The alphabets that can have made a code."""
    return tuple(alphabet for alphabet in Alphabet if alphabet.has(code.reveal()))


def group(code: str, grouping: Grouping) -> str:
    """A code in even groups of at most four, each said in one breath: 12345678 is 1234 5678."""
    groups = -(-len(code) // 4)
    each, longer = divmod(len(code), groups)
    ends = [(n + 1) * each + min(n + 1, longer) for n in range(groups)]
    return _BETWEEN[grouping].join(
        code[begin:end] for begin, end in zip([0, *ends], ends, strict=False)
    )


def digest_code(
    code: Code,
    *,
    verification: str,
    pepper: bytes,
    salt: bytes,
    cost: HashCost,
    bound: str | None = None,
) -> bytes:
    """The 32-byte digest of a code; ``bound``: the fingerprint of the transaction that it alone approves.
    Takes milliseconds to tenths of seconds of CPU: never call it on an event loop (argon2-cffi releases
    the GIL)."""
    # Neither an id nor a code has a bar, so no two different inputs are written alike.
    parts = [verification, code.reveal(), *([bound] if bound else [])]
    keyed = hmac.digest(pepper, "|".join(parts).encode(), "sha256")
    return hash_secret_raw(
        keyed,
        salt,
        time_cost=cost.iterations,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=DIGEST_BYTES,
        type=Type.ID,
    )
