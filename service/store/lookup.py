"""The look-up key: one for the life of a store, kept in ``cs:meta`` sealed under each master key.

Any one master key opens it, so keys come and go, and every recipient, limit, Idempotency-Key and webhook
reference stays where it is. Without a master key the copies are worth nothing.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.keyring import KEY_BYTES, Keyring
from service.store import keys
from service.store.connection import Connection, StoreSetupError
from service.store.records import dump, pairs
from service.store.scripts import Names, Scripts

_COPY = "lookup:"
_SINCE = "since:"


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What the store knows of master keys, by id: whose copy of the look-up key it holds, and since
    when (milliseconds) each key was first seen."""

    copies: frozenset[str]
    since: Mapping[str, int]


async def open_keyring(connection: Connection, keyring: Keyring, now: int) -> Keyring:
    """The keyring with the store's look-up key open; leaves a copy for each key that has none yet.

    Raises:
        StoreSetupError: the store's look-up key was sealed under other keys.
    """
    scripts = Scripts(connection)
    for _ in range(2):  # another process may be the first between our reading and our writing
        meta = await _read(connection)
        key = keyring.open_lookup(sealed_copies(meta)) or _first_lookup(meta, keyring)
        args: Names = {
            "fingerprint": hashlib.blake2b(b"look-up key", key=key, digest_size=8).hexdigest(),
            "copies": dump(keyring.seal_lookup(key)),
            "now": now,
        }
        reply = await scripts.run("keep_lookup", {"meta": keys.META}, args)
        if reply[0] == "ok":
            return keyring.with_lookup(key)
    held = ", ".join(sorted(sealed_copies(await _read(connection))))
    raise StoreSetupError(
        f"the data in Redis belongs to other master keys ({held}), and none of them is in "
        f"COUNTERSIGN_KEYS: put one of them back, or point REDIS_URL at another database"
    )


async def known_keys(connection: Connection) -> KnownKeys:
    """What the store knows of master keys."""
    meta = await _read(connection)
    since = {id_: int(at) for id_, at in _with_prefix(meta, _SINCE).items()}
    return KnownKeys(frozenset(sealed_copies(meta)), since)


def sealed_copies(meta: Mapping[str, str]) -> dict[str, str]:
    """The sealed copies of the look-up key in ``cs:meta``, by the id of the master key."""
    return _with_prefix(meta, _COPY)


async def forget_key(connection: Connection, key_id: str) -> None:
    """Drop a retired key's copy, so that the key opens nothing in what is stored from here on."""
    await connection.command("HDEL", keys.META, f"{_COPY}{key_id}", f"{_SINCE}{key_id}")


def _first_lookup(meta: Mapping[str, str], keyring: Keyring) -> bytes:
    # Data of layout 1 lies under the look-up key that its oldest master key gave.
    if meta.get("layout") == "1":
        return keyring.lookup_of_oldest()
    return secrets.token_bytes(KEY_BYTES)


async def _read(connection: Connection) -> dict[str, str]:
    return pairs(await connection.command("HGETALL", keys.META))


def _with_prefix(meta: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name[len(prefix) :]: value for name, value in meta.items() if name.startswith(prefix)}
