"""API keys: ``cs_<key id>_<secret>``. Only a SHA-256 of the 256-bit random secret is stored, which is
enough for a secret that nobody can guess (OWASP ASVS 6.5.2 asks for a slow hash below 112 bits)."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.clock import Clock
from service.store import keys
from service.store.connection import Connection
from service.store.records import dump, pairs

CACHE_TIME = 5_000
"""How long (milliseconds) an instance trusts what it read: a revoked key dies within this time."""
_PREFIX = "cs_"
_MOST_CACHED = 10_000
PLAIN_KEY = re.compile(r"cs_([0-9a-f]{12})_([A-Za-z0-9_-]{32,128})", re.ASCII)


class Scope(StrEnum):
    """What an API key may do."""

    VERIFICATIONS = "verifications"
    OPT_OUTS = "opt-outs"
    AUDIT = "audit"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; ``created_at`` and ``revoked_at`` in milliseconds since the epoch."""

    id: str
    app: str
    scopes: frozenset[Scope]
    created_at: int
    hash: str
    revoked_at: int | None = None


class ApiKeyStore:
    """Creates, lists, revokes and checks API keys."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._cache: dict[str, tuple[int, ApiKey | None]] = {}

    async def create(self, app: str, scopes: Sequence[Scope]) -> tuple[ApiKey, str]:
        """A new key, and its plain form, which is shown once and never stored."""
        id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = ApiKey(id_, app, frozenset(scopes), self._clock.now(), _hash(secret))
        await self._save(key)
        return key, f"{_PREFIX}{id_}_{secret}"

    async def ensure(self, plain: str, app: str, scopes: Sequence[Scope]) -> None:
        """Make a key that was made elsewhere known, unless its id is: a revoked one stays revoked.

        Raises:
            ValueError: it has not the form of a key.
        """
        match = PLAIN_KEY.fullmatch(plain)
        if match is None:
            raise ValueError("must be cs_<12 hexadecimal digits>_<at least 32 letters or digits>")
        key = ApiKey(match[1], app, frozenset(scopes), self._clock.now(), _hash(match[2]))
        await self._connection.command("HSETNX", keys.API_KEYS, key.id, _dump(key))

    async def list(self) -> list[ApiKey]:
        entries = pairs(await self._connection.command("HGETALL", keys.API_KEYS))
        found = [_load(id_, entry) for id_, entry in entries.items()]
        return sorted(found, key=lambda key: key.created_at)

    async def revoke(self, id_: str) -> bool:
        """Revoke for good; ``False`` if there is no such key, or it was revoked before."""
        key = await self._read(id_)
        if key is None or key.revoked_at is not None:
            return False
        revoked = ApiKey(key.id, key.app, key.scopes, key.created_at, key.hash, self._clock.now())
        await self._save(revoked)
        return True

    async def check(self, plain: str) -> ApiKey | None:
        """The live key that this plain form belongs to; ``None`` if there is none."""
        id_, _, secret = plain.removeprefix(_PREFIX).partition("_")
        if not plain.startswith(_PREFIX) or not secret or not plain.isascii():
            return None
        key = await self._cached(id_)
        if key is None or key.revoked_at is not None:
            return None
        return key if hmac.compare_digest(key.hash, _hash(secret)) else None

    async def _cached(self, id_: str) -> ApiKey | None:
        now = self._clock.now()
        until, key = self._cache.get(id_, (0, None))
        if until <= now:
            key = await self._read(id_)
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[id_] = (now + CACHE_TIME, key)
        return key

    async def _read(self, id_: str) -> ApiKey | None:
        entry = await self._connection.command("HGET", keys.API_KEYS, id_)
        return _load(id_, entry) if entry else None

    async def _save(self, key: ApiKey) -> None:
        await self._connection.command("HSET", keys.API_KEYS, key.id, _dump(key))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _dump(key: ApiKey) -> str:
    return dump(
        {
            "app": key.app,
            "scopes": sorted(key.scopes),
            "created_at": key.created_at,
            "hash": key.hash,
            "revoked_at": key.revoked_at,
        }
    )


def _load(id_: str, entry: str) -> ApiKey:
    found = json.loads(entry)
    scopes = frozenset(Scope(scope) for scope in found.pop("scopes"))
    return ApiKey(id=id_, scopes=scopes, **found)
