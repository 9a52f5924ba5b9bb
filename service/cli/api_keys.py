"""``countersign keys``: works on the store alone, at REDIS_URL."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service.cli.store import open_store
from service.clock import SystemClock
from service.domain.app import is_app
from service.flow.api_keys import ApiKeys
from service.store.api_keys import ApiKey, ApiKeyStore, KeyChangedError, Scope

_ACTOR = "operator"
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}


class KeyCommandError(Exception):
    """The command cannot be carried out; the message says why."""


@asynccontextmanager
async def open_keys() -> AsyncIterator[ApiKeyStore]:
    """The key store at REDIS_URL / REDIS_URL_FILE."""
    async with open_store() as connection:
        yield ApiKeyStore(connection, SystemClock())


async def create_key(app: str, scopes: Sequence[str], expires: str | None) -> None:
    if not is_app(app):
        raise KeyCommandError("--app must be a slug: lower-case letters, digits, '-' and '_'")
    unknown = [scope for scope in scopes if scope not in set(Scope)]
    if unknown:
        raise KeyCommandError(f"--scope must be one of {', '.join(Scope)}")
    expires_at = _end("--expires", expires)
    async with open_keys() as store:
        _, plain = await ApiKeys(store, SystemClock()).create(
            app, [Scope(scope) for scope in scopes], expires_at, actor=_ACTOR
        )
    print(plain)


async def rotate_key(key_id: str, overlap: str, expires: str | None) -> None:
    length, expires_at = _milliseconds("--overlap", overlap), _end("--expires", expires)
    async with open_keys() as store:
        try:
            rotated = await ApiKeys(store, SystemClock()).rotate(
                key_id, length, expires_at, actor=_ACTOR
            )
        except KeyChangedError:
            raise _changed() from None
    if rotated is None:
        raise _unknown()
    print(rotated[1])


async def list_keys() -> None:
    async with open_keys() as store:
        found = await store.list()
    now = SystemClock().now()
    print(
        f"{'id':<12}  {'app':<16} {'state':<8} {'created':<25} {'last used':<25} {'ends':<25} scopes"
    )
    for key, used in found:
        print(
            f"{key.id:<12}  {key.app:<16} {_state(key, now):<8} {_time(key.created_at):<25} "
            f"{_time(used):<25} {_time(key.expires_at):<25} {','.join(sorted(key.scopes))}"
        )


async def revoke_key(key_id: str) -> None:
    async with open_keys() as store:
        try:
            revoked = await ApiKeys(store, SystemClock()).revoke(key_id, actor=_ACTOR)
        except KeyChangedError:
            raise _changed() from None
    if not revoked:
        raise _unknown()
    print(f"{key_id} is revoked")


def _state(key: ApiKey, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "live" if key.is_live(now) else "expired"


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _end(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    length = _milliseconds(option, text)
    if length == 0:
        raise KeyCommandError(f"{option} must be longer than nothing")
    return SystemClock().now() + length


def _milliseconds(option: str, text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise KeyCommandError(f"{option} must be a number with s, m, h, d or w, such as 90d")
    return int(match[1]) * _UNITS[match[2]]


def _unknown() -> KeyCommandError:
    return KeyCommandError("there is no live key with this id; see: countersign keys list")


def _changed() -> KeyCommandError:
    return KeyCommandError("somebody else changed this key at the same time; try again")
