"""API keys: ``cs_<key id>_<secret>``. Only a SHA-256 of the 256-bit random secret is stored, which is
enough for a secret that nobody can guess (OWASP ASVS 6.5.2 asks for a slow hash below 112 bits)."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from service.clock import Clock
from service.domain.audit import Event
from service.store import keys
from service.store.connection import Connection
from service.store.records import dump, pairs
from service.store.scripts import Scripts

CACHE_TIME = 5_000
"""How long (milliseconds) an instance trusts what it read: a revoked key dies within this time."""
USE_INTERVAL = 60_000
"""How often (milliseconds) an instance records at most that a key is in use."""
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
    """A key as it is stored; instants in milliseconds since the epoch. After a rotation the old secret
    (``previous_hash``) is right until ``previous_until``."""

    id: str
    app: str
    scopes: frozenset[Scope]
    created_at: int
    hash: str
    revoked_at: int | None = None
    expires_at: int | None = None
    previous_hash: str | None = None
    previous_until: int = 0

    def is_live(self, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def matches(self, secret: str, now: int) -> bool:
        """Whether the secret is the key's, or the one before a rotation and still in its overlap."""
        hashed = _hash(secret)
        current = hmac.compare_digest(self.hash, hashed)
        previous = hmac.compare_digest(self.previous_hash or "", hashed)
        return current or (previous and now < self.previous_until)


class KeyChangedError(Exception):
    """Somebody else changed the key between our reading and our writing."""


class ApiKeyStore:
    """Creates, lists, rotates, revokes and checks API keys. ``spawn`` runs what no request waits for;
    without it no use is recorded."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object] | None = None,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._spawn = spawn
        self._cache: dict[str, tuple[int, ApiKey | None]] = {}
        self._recorded: dict[str, int] = {}

    async def create(
        self, app: str, scopes: Sequence[Scope], expires_at: int | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and its plain form, which is shown once and never stored."""
        id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        now = self._clock.now()
        key = ApiKey(id_, app, frozenset(scopes), now, _hash(secret), expires_at=expires_at)
        await self._connection.command("HSET", keys.API_KEYS, key.id, _dump(key))
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

    async def list(self) -> list[tuple[ApiKey, int | None]]:
        """Every key, and when it was last used (milliseconds, ``None`` if never)."""
        entries = pairs(await self._connection.command("HGETALL", keys.API_KEYS))
        used = pairs(await self._connection.command("HGETALL", keys.API_KEYS_USED))
        found = [
            (_load(id_, entry), int(used[id_]) if id_ in used else None)
            for id_, entry in entries.items()
        ]
        return sorted(found, key=lambda entry: entry[0].created_at)

    async def revoke(self, id_: str) -> ApiKey | None:
        """Revoke for good; ``None`` if there is no such key, or it was revoked before.

        Raises:
            KeyChangedError: somebody else changed it at the same time.
        """
        entry = await self._read(id_)
        key = _load(id_, entry) if entry else None
        if entry is None or key is None or key.revoked_at is not None:
            return None
        revoked = replace(key, revoked_at=self._clock.now())
        await self._replace(entry, revoked)
        return revoked

    async def rotate(
        self, id_: str, overlap: int, expires_at: int | None = None
    ) -> tuple[ApiKey, str] | None:
        """A new secret for a live key; the old one is right for ``overlap`` milliseconds more. With
        ``expires_at`` the key gets another end. ``None`` if there is no such live key.

        Raises:
            KeyChangedError: somebody else changed it at the same time.
        """
        entry, now = await self._read(id_), self._clock.now()
        key = _load(id_, entry) if entry else None
        if entry is None or key is None or not key.is_live(now):
            return None
        secret = secrets.token_urlsafe(32)
        rotated = replace(
            key,
            hash=_hash(secret),
            previous_hash=key.hash,
            previous_until=now + overlap,
            expires_at=expires_at or key.expires_at,
        )
        await self._replace(entry, rotated)
        return rotated, f"{_PREFIX}{id_}_{secret}"

    async def record(self, event: Event) -> None:
        """Write down a change of a key. The keys are in a slot of their own, so right after it: a key whose
        event was lost with its maker was shown to nobody."""
        await Scripts(self._connection).run(
            "record", {"audit": f"{keys.prefix(0)}audit"}, {"event": dump(event)}
        )

    async def check(self, plain: str) -> ApiKey | None:
        """The live key that this plain form belongs to; ``None`` if there is none."""
        id_, _, secret = plain.removeprefix(_PREFIX).partition("_")
        if not plain.startswith(_PREFIX) or not secret or not plain.isascii():
            return None
        key, now = await self._cached(id_), self._clock.now()
        if key is None or not key.is_live(now) or not key.matches(secret, now):
            return None
        if self._spawn is not None and now - self._recorded.get(id_, -USE_INTERVAL) >= USE_INTERVAL:
            self._recorded[id_] = now
            self._spawn(self._record_use(id_, now))
        return key

    async def live(self, id_: str) -> ApiKey | None:
        """The key of this id, unless it is revoked or has ended."""
        key = await self._cached(id_)
        return key if key is not None and key.is_live(self._clock.now()) else None

    async def _record_use(self, id_: str, now: int) -> None:
        await self._connection.command("HSET", keys.API_KEYS_USED, id_, now)

    async def _cached(self, id_: str) -> ApiKey | None:
        now = self._clock.now()
        until, key = self._cache.get(id_, (0, None))
        if until <= now:
            entry = await self._read(id_)
            key = _load(id_, entry) if entry else None
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[id_] = (now + CACHE_TIME, key)
        return key

    async def _read(self, id_: str) -> str | None:
        entry: str | None = await self._connection.command("HGET", keys.API_KEYS, id_)
        return entry

    async def _replace(self, read: str, key: ApiKey) -> None:
        """Write over what was read: a revocation at the same time must not be undone."""
        reply = await Scripts(self._connection).run(
            "replace_entry",
            {"entries": keys.API_KEYS},
            {"name": key.id, "read": read, "written": _dump(key)},
        )
        if reply[0] != "ok":
            raise KeyChangedError
        self._cache.pop(key.id, None)


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
            "expires_at": key.expires_at,
            "previous_hash": key.previous_hash,
            "previous_until": key.previous_until,
        }
    )


def _load(id_: str, entry: str) -> ApiKey:
    found = json.loads(entry)
    scopes = frozenset(Scope(scope) for scope in found.pop("scopes"))
    return ApiKey(id=id_, scopes=scopes, **found)
