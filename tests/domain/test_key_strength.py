"""A master key that somebody may have typed or copied is refused; one drawn at random never is."""

import base64
import hashlib
import re
import secrets
from pathlib import Path

import pytest

from service.domain.key_strength import weakness
from service.domain.keyring import KeyringError, parse_keys

RANDOM = hashlib.sha256(b"drawn at random, but always the same").digest()
ROOT = Path(__file__).parents[2]
_DOCUMENTS = ("*.md", "*.toml", "*.json", "*.yml", "*.yaml", "*.env*")
# The name of a test may happen to have a key's length.
_MAYBE_KEY = re.compile(
    r"(?<![\w+/-])(?!test_)(?:[\w+/-]{43}=?|[0-9a-fA-F]{64})(?![\w+/=-])", re.ASCII
)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (bytes(32), "one byte"),
        (b"\xff" * 32, "one byte"),
        (RANDOM[:16] * 2, "repeats"),
        ((RANDOM[:5] * 7)[:32], "repeats"),
        (RANDOM[:16] + bytes(16), "few different"),
        (b"correct horse battery staple ...", "text"),
        (RANDOM[:16].hex().encode(), "text"),
        (b"secret".ljust(32, b"\0"), "text"),
        (bytes(range(32)), "counts"),
        (bytes(range(255, 223, -1)), "counts"),
        (hashlib.sha256(b"password").digest(), "known"),
        (hashlib.sha256(b"changeme\n").digest(), "known"),
        (hashlib.blake2s(b"test").digest(), "known"),
        (
            bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
            "known",
        ),
    ],
)
def test_what_people_make_by_hand_is_refused(key: bytes, said: str) -> None:
    assert said in (weakness(key) or "")


def test_random_keys_are_not() -> None:
    assert [key for key in (secrets.token_bytes(32) for _ in range(1_000)) if weakness(key)] == []


def test_a_key_that_stands_in_a_document_is_refused() -> None:
    files = [file for pattern in _DOCUMENTS for file in ROOT.glob(pattern)]
    files += [file for pattern in _DOCUMENTS for file in (ROOT / "service").rglob(pattern)]
    assert ROOT / "README.md" in files
    for file in files:
        for text in _MAYBE_KEY.findall(file.read_text(encoding="utf-8")):
            for key in _as_keys(text):
                assert weakness(key), f"{file.name}: {text} could be used as a key"


def test_the_search_for_keys_in_documents_finds_one() -> None:
    key = secrets.token_bytes(32)
    for text in (base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode(), key.hex()):
        (found,) = _MAYBE_KEY.findall(f"export COUNTERSIGN_KEYS={text}\n")
        assert key in _as_keys(found)


def _as_keys(text: str) -> list[bytes]:
    found = [bytes.fromhex(text)] if re.fullmatch(r"[0-9a-fA-F]{64}", text) else []
    try:
        found += parse_keys(text)
    except KeyringError:
        return found
    return [key for key in found if len(key) == 32]
