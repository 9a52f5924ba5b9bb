"""The one-time code: drawn, read, and turned into the digest that alone is stored.

The digest is ``argon2id(HMAC-SHA256(pepper, verification id || code), salt)``. The pepper lives
outside Redis and makes a stolen store useless; argon2id is the second net, for the day the pepper
leaks too (a 6-digit code has only 10^6 values). The salt is one per verification, so that checking
a typed code costs one hash however many deliveries there were.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret_raw

MIN_LENGTH = 4
MAX_LENGTH = 10
SALT_BYTES = 16  # RFC 9106 section 3.1: 16 bytes is recommended for password hashing
DIGEST_BYTES = 32

_SEPARATORS = re.compile(r"[\s\-]+")
_DIGITS = re.compile(rf"[0-9]{{{MIN_LENGTH},{MAX_LENGTH}}}", re.ASCII)


class Code:
    """A code in plain text. It does not print, compare or serialise; ``reveal`` is the one way out."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        self._digits = digits

    def reveal(self) -> str:
        """The digits, for the message text and for the digest only."""
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


def draw_code(length: int, below: Callable[[int], int]) -> Code:
    """A new code of ``length`` digits; ``below(n)`` must give a uniform number in [0, n) from a CSPRNG."""
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise ValueError(f"a code has {MIN_LENGTH} to {MAX_LENGTH} digits")
    return Code(str(below(10**length)).zfill(length))


def read_code(typed: str) -> Code | None:
    """A code as a person types it, blanks and dashes dropped; ``None`` if it can be no code."""
    digits = _SEPARATORS.sub("", typed)
    return Code(digits) if _DIGITS.fullmatch(digits) else None


def digest_code(
    code: Code, *, verification: str, pepper: bytes, salt: bytes, cost: HashCost
) -> bytes:
    """The 32-byte digest of a code. Takes milliseconds to tenths of seconds of CPU: never call it
    on an event loop (argon2-cffi releases the GIL)."""
    keyed = hmac.digest(pepper, f"{verification}|{code.reveal()}".encode(), "sha256")
    return hash_secret_raw(
        keyed,
        salt,
        time_cost=cost.iterations,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=DIGEST_BYTES,
        type=Type.ID,
    )
