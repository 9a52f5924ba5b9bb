"""The keyring: master keys outside Redis, and the subkeys that every secret use is keyed with.

Each master key is 32 random bytes; its id is derived from it, so an id names a key without an
agreement. The newest key (first) seals and hashes everything new, and its id is stored with each
record, so older keys go on serving the records that they made.

Look-up ids must not move when a newer key is put in front: they are keyed by the *last* (oldest)
key of the ring. A key that is last can therefore not be dropped without losing opt-outs.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

KEY_BYTES = 32
_ID_BYTES = 4
_LOOKUP_BYTES = 16  # 128 bits: no two recipients collide
_TAG_BYTES = 16
_MIN_DISTINCT_BYTES = 12


class KeyringError(ValueError):
    """The keys are missing, malformed or weak; the message says how to mend it, never the key."""


class Keyring:
    """Subkeys by purpose, sealing of recipients, look-up ids and webhook tags."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """``keys``: master keys of 32 bytes, newest first.

        Raises:
            KeyringError: no key, a key of another length, a key without entropy, or one twice.
        """
        for position, key in enumerate(keys, start=1):
            _check_key(key, position)
        if not keys:
            raise KeyringError("there is no key")
        self._keys = {_key_id(key): key for key in keys}
        if len(self._keys) != len(keys):
            raise KeyringError("a key is listed twice")
        self.newest = _key_id(keys[0])
        self._lookup = _subkey(keys[-1], "lookup")

    def pepper(self, key_id: str) -> bytes:
        """The key of code digests made under ``key_id``. Raises KeyringError if that key is gone."""
        return _subkey(self._key(key_id), "pepper")

    def subkeys(self, purpose: str) -> tuple[bytes, ...]:
        """A 32-byte subkey for a purpose under each master key, newest first."""
        return tuple(_subkey(key, purpose) for key in self._keys.values())

    def lookup_id(self, value: str) -> str:
        """The stable, keyed digest (32 hex digits) under which a recipient is found."""
        return self.digest("recipient", value)

    def digest(self, purpose: str, value: str) -> str:
        """A stable keyed digest (32 hex digits) of any value, apart for each purpose."""
        text = f"{purpose}|{value}".encode()
        return hashlib.blake2b(text, key=self._lookup, digest_size=_LOOKUP_BYTES).hexdigest()

    def seal(self, text: str) -> str:
        """Encrypt with the newest key (XSalsa20-Poly1305); the answer is Base64."""
        box = SecretBox(_subkey(self._key(self.newest), "sealing"))
        return base64.b64encode(box.encrypt(text.encode())).decode()

    def unseal(self, key_id: str, sealed: str) -> str:
        """Decrypt what ``seal`` made under ``key_id``.

        Raises:
            KeyringError: that key is gone, or the text was not sealed by it.
        """
        box = SecretBox(_subkey(self._key(key_id), "sealing"))
        try:
            return box.decrypt(base64.b64decode(sealed)).decode()
        except (CryptoError, ValueError) as error:
            raise KeyringError(f"a record sealed under key {key_id} cannot be opened") from error

    def tag(self, text: str) -> str:
        """An unforgeable tag (32 hex digits) of a webhook reference, under the newest key."""
        return self._tag(self.newest, text)

    def tag_matches(self, text: str, tag: str) -> bool:
        """Whether any key of the ring made the tag; in constant time for each key."""
        found = [hmac.compare_digest(self._tag(kid, text), tag) for kid in self._keys]
        return any(found)

    def _tag(self, key_id: str, text: str) -> str:
        key = _subkey(self._key(key_id), "webhook-ref")
        return hashlib.blake2b(text.encode(), key=key, digest_size=_TAG_BYTES).hexdigest()

    def _key(self, key_id: str) -> bytes:
        try:
            return self._keys[key_id]
        except KeyError:
            raise KeyringError(
                f"key {key_id} is not in the keyring: put it back behind the newer ones"
            ) from None

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Read comma-separated keys, each Base64 (standard or URL-safe) of 32 bytes.

    Raises:
        KeyringError: a key is not Base64 of 32 bytes.
    """
    keys = []
    for position, item in enumerate(text.replace("\n", ",").split(","), start=1):
        if not item.strip():
            continue
        canonical = item.strip().translate(str.maketrans("-_", "+/"))
        padded = canonical + "=" * (-len(canonical) % 4)
        try:
            keys.append(base64.b64decode(padded, validate=True))
        except (binascii.Error, ValueError):
            raise KeyringError(f"key {position} is not Base64 of {KEY_BYTES} bytes") from None
    return tuple(keys)


def _check_key(key: bytes, position: int) -> None:
    if len(key) != KEY_BYTES:
        raise KeyringError(f"key {position} has {len(key)} bytes; it must have {KEY_BYTES}")
    if len(set(key)) < _MIN_DISTINCT_BYTES:
        raise KeyringError(
            f"key {position} is not random; make one with: countersign keyring generate"
        )


def _key_id(key: bytes) -> str:
    return hashlib.blake2b(b"countersign key id", key=key, digest_size=_ID_BYTES).hexdigest()


def _subkey(key: bytes, purpose: str) -> bytes:
    return hashlib.blake2b(f"countersign {purpose}".encode(), key=key, digest_size=32).digest()
