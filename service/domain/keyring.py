"""The keyring: master keys outside Redis, and the subkeys that every secret use is keyed with.

Each master key is 32 random bytes; its id is derived from it, so an id names a key without an
agreement. The newest key (first) seals and hashes everything new, and its id is stored with each
record, so older keys go on serving the records that they made.

Look-up ids (and the tags of webhook references) must not move when keys come and go: they are keyed by
a *look-up key* of its own, which the store keeps sealed, one copy under each master key. Any one key
of the ring opens it, so every key can be retired. ``service.store.lookup`` opens it at start.
"""

import base64
import binascii
import copy
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from service.domain.key_strength import weakness

KEY_BYTES = 32
_ID_BYTES = 4
_LOOKUP_BYTES = 16  # 128 bits: no two recipients collide
_TAG_BYTES = 16


class KeyringError(ValueError):
    """The keys are missing, malformed or weak; the message says how to mend it, never the key."""


class Keyring:
    """Subkeys by purpose, sealing of recipients, look-up ids and webhook tags."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """``keys``: master keys of 32 bytes, newest first.

        Raises:
            KeyringError: no key, a key of another length, a key that can be guessed, or one twice.
        """
        for position, key in enumerate(keys, start=1):
            _check_key(key, position)
        if not keys:
            raise KeyringError("there is no key; make one with: countersign keyring generate")
        self._keys = {_key_id(key): key for key in keys}
        if len(self._keys) != len(keys):
            raise KeyringError("a key is listed twice")
        self.newest = _key_id(keys[0])
        self._lookup: bytes | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys' ids, newest first."""
        return tuple(self._keys)

    def with_lookup(self, key: bytes) -> "Keyring":
        """This ring with the store's look-up key open."""
        opened = copy.copy(self)
        opened._lookup = key
        return opened

    def lookup_of_oldest(self) -> bytes:
        """The look-up key of a store from before look-up keys were sealed: its oldest key's."""
        return _subkey(list(self._keys.values())[-1], "lookup")

    def seal_lookup(self, key: bytes) -> dict[str, str]:
        """A sealed copy of a look-up key for each master key, by its id."""
        return {
            id_: _seal(_subkey(master, "lookup-sealing"), key) for id_, master in self._keys.items()
        }

    def open_lookup(self, copies: Mapping[str, str]) -> bytes | None:
        """The look-up key from the first copy that this ring has the key of; ``None`` if it has none.

        Raises:
            KeyringError: a copy was not made by its key.
        """
        for id_, master in self._keys.items():
            if id_ in copies:
                return _open(_subkey(master, "lookup-sealing"), copies[id_], id_)
        return None

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
        key = self._opened_lookup()
        return hashlib.blake2b(text, key=key, digest_size=_LOOKUP_BYTES).hexdigest()

    def seal(self, text: str) -> str:
        """Encrypt with the newest key (XSalsa20-Poly1305); the answer is Base64."""
        return _seal(_subkey(self._key(self.newest), "sealing"), text.encode())

    def unseal(self, key_id: str, sealed: str) -> str:
        """Decrypt what ``seal`` made under ``key_id``.

        Raises:
            KeyringError: that key is gone, or the text was not sealed by it.
        """
        return _open(_subkey(self._key(key_id), "sealing"), sealed, key_id).decode()

    def seal_for_good(self, text: str) -> str:
        """Encrypt under the store's look-up key, so that no rotation of master keys makes it unreadable."""
        return _seal(_subkey(self._opened_lookup(), "sealing-for-good"), text.encode())

    def unseal_for_good(self, sealed: str) -> str:
        """Decrypt what ``seal_for_good`` made. Raises KeyringError if it is anything else."""
        key = _subkey(self._opened_lookup(), "sealing-for-good")
        return _open(key, sealed, "of the look-up").decode()

    def signing_seed(self, key_id: str) -> bytes:
        """The Ed25519 seed that proofs are signed with. Raises KeyringError if that key is gone."""
        return _subkey(self._key(key_id), "proof-signing")

    def audit_seed(self, key_id: str) -> bytes:
        """The Ed25519 seed that checkpoints are signed with. Raises KeyringError if that key is gone."""
        return _subkey(self._key(key_id), "audit-signing")

    def tag(self, text: str) -> str:
        """An unforgeable tag (32 hex digits) of a webhook reference; no rotation moves it."""
        return _tag(_subkey(self._opened_lookup(), "webhook-ref"), text)

    def tag_matches(self, text: str, tag: str) -> bool:
        """Whether the tag is ours: by the look-up key, or by a master key, as earlier releases made
        them; in constant time for each key."""
        keys = [self._opened_lookup(), *self._keys.values()]
        found = [hmac.compare_digest(_tag(_subkey(k, "webhook-ref"), text), tag) for k in keys]
        return any(found)

    def _opened_lookup(self) -> bytes:
        if self._lookup is None:
            raise KeyringError("the look-up key is not open: see service.store.lookup")
        return self._lookup

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
    fault = weakness(key)
    if fault is not None:
        raise KeyringError(
            f"key {position} {fault}, so it is not random and can be guessed; "
            f"make one with: countersign keyring generate"
        )


def _seal(key: bytes, plain: bytes) -> str:
    return base64.b64encode(SecretBox(key).encrypt(plain)).decode()


def _open(key: bytes, sealed: str, key_id: str) -> bytes:
    try:
        return SecretBox(key).decrypt(base64.b64decode(sealed))
    except (CryptoError, ValueError) as error:
        raise KeyringError(f"a record sealed under key {key_id} cannot be opened") from error


def _tag(key: bytes, text: str) -> str:
    return hashlib.blake2b(text.encode(), key=key, digest_size=_TAG_BYTES).hexdigest()


def _key_id(key: bytes) -> str:
    return hashlib.blake2b(b"countersign key id", key=key, digest_size=_ID_BYTES).hexdigest()


@lru_cache(maxsize=256)
def _subkey(key: bytes, purpose: str) -> bytes:
    return hashlib.blake2b(f"countersign {purpose}".encode(), key=key, digest_size=32).digest()
