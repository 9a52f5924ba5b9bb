"""Signs that a master key was not drawn at random: what people put into a configuration by hand.

Each test lets fewer than one random key in 10^9 fail, and names what it saw, never the key.
"""

import hashlib
from functools import cache
from itertools import pairwise

_MIN_DISTINCT = 19  # of 32 random bytes 30 are distinct on average; 18 or fewer: 5 in 10^12
_MIN_STEPS = 12
_LONGEST_BLOCK = 16
_PRINTABLE = frozenset(range(0x20, 0x7F))

# What stands in for a secret in examples, templates and haste: itself hashed, it looks random.
_WORDS = (
    "", "0", "1", "123", "1234", "12345", "123456", "12345678", "123456789", "admin", "changeit",
    "changeme", "change-me", "change_me", "countersign", "default", "demo", "dev", "development",
    "example", "foo", "foobar", "hello", "key", "letmein", "master", "masterkey", "mysecret", "pass",
    "passw0rd", "password", "pepper", "production", "qwerty", "root", "s3cret", "secret",
    "secretkey", "supersecret", "telnyx", "test", "testing", "todo", "xxx",
)  # fmt: skip
_HASHES = ("sha256", "sha3_256", "blake2s")  # 32 bytes each

# Published as examples, so known to everyone. SHA-256 of the key, which need not stand here itself.
_PUBLISHED = frozenset(
    {
        # RFC 8032 section 7.1, the secret keys of tests 1 to 3.
        "644d50ab64864c20a12b3c4656d46b4a48f69ef7c47ecdc8415cd28316b22ef5",
        "3d2d9682cdba529682a152f678e25c6c29847bf2588ca4e1b3023c1579f9958d",
        "d8eca0cca720d33bf6d9a3e8057053ff6a4d19a62a9874fa7f7004ea662fb2f9",
    }
)


def weakness(key: bytes) -> str | None:
    """What is wrong with a key, as the end of "the key ..."; ``None`` if nothing is to be seen."""
    if len(set(key)) == 1:
        return "is one byte over and over"
    if any(_repeats(key, length) for length in range(2, _LONGEST_BLOCK + 1)):
        return "repeats a shorter block"
    if set(key.strip(b"\0 \r\n")) <= _PRINTABLE:
        return "is text"
    if len(set(key)) < _MIN_DISTINCT:
        return "uses few different bytes"
    if len({(b - a) % 256 for a, b in pairwise(key)}) < _MIN_STEPS:
        return "counts up or down"
    if hashlib.sha256(key).hexdigest() in _PUBLISHED or key in _hashed_words():
        return "is a known example"
    return None


def _repeats(key: bytes, length: int) -> bool:
    block = key[:length]
    return (block * (len(key) // length + 1))[: len(key)] == key


@cache
def _hashed_words() -> frozenset[bytes]:
    # `echo password | sha256sum` hashes the line's end too.
    texts = [f"{word}{end}".encode() for word in _WORDS for end in ("", "\n")]
    return frozenset(hashlib.new(name, text).digest() for name in _HASHES for text in texts)
