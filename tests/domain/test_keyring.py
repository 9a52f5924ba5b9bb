"""The keyring: weak keys are refused, and newer keys move no look-up."""

import base64
import hashlib
import secrets

import pytest

from service.domain.keyring import Keyring, KeyringError, parse_keys

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)


LOOKUP = secrets.token_bytes(32)


def _ring(*keys: bytes) -> Keyring:
    return Keyring(keys).with_lookup(LOOKUP)


def test_a_newer_key_moves_no_look_up_and_opens_what_the_older_sealed() -> None:
    before, after = _ring(OLD), _ring(NEW, OLD)
    sealed = before.seal("+12025550123")
    assert after.lookup_id("+12025550123") == before.lookup_id("+12025550123")
    assert after.unseal(before.newest, sealed) == "+12025550123"
    assert after.pepper(before.newest) == before.pepper(before.newest)
    assert after.newest != before.newest
    assert after.tag_matches("ref", before.tag("ref"))


def test_without_its_key_nothing_opens() -> None:
    sealed = _ring(OLD).seal("+12025550123")
    stranger = Keyring([NEW]).with_lookup(secrets.token_bytes(32))
    with pytest.raises(KeyringError, match="put it back"):
        stranger.unseal(Keyring([OLD]).newest, sealed)
    with pytest.raises(KeyringError, match="cannot be opened"):
        stranger.unseal(stranger.newest, sealed)
    assert not stranger.tag_matches("ref", _ring(OLD).tag("ref"))


def test_a_seal_never_repeats_and_never_shows() -> None:
    ring = Keyring([OLD])
    assert ring.seal("+12025550123") != ring.seal("+12025550123")
    assert OLD.hex() not in repr(ring)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no key"),
        ("abc", "not Base64|has 2 bytes"),
        (base64.b64encode(b"short").decode(), "must have 32"),
        (base64.b64encode(b"0" * 32).decode(), "one byte over and over"),
        (",".join([base64.b64encode(hashlib.sha256(b"a key").digest()).decode()] * 2), "twice"),
    ],
)
def test_a_weak_or_malformed_key_is_named_without_being_shown(text: str, fault: str) -> None:
    with pytest.raises(KeyringError, match=fault) as caught:
        Keyring(parse_keys(text))
    assert not text or text not in str(caught.value)
