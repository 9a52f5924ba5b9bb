"""``countersign keys``: works on the store alone, at REDIS_URL."""

import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from service.clock import SystemClock
from service.store.api_keys import ApiKeyStore, Scope
from service.store.connection import Connection
from service.store.setup import check_setup

_APP = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)


class KeyCommandError(Exception):
    """The command cannot be carried out; the message says why."""


@asynccontextmanager
async def open_keys() -> AsyncIterator[ApiKeyStore]:
    """The key store at REDIS_URL / REDIS_URL_FILE."""
    connection = await Connection.open(_redis_url())
    try:
        await check_setup(connection)
        yield ApiKeyStore(connection, SystemClock())
    finally:
        await connection.close()


async def create_key(app: str, scopes: Sequence[str]) -> None:
    if not _APP.fullmatch(app):
        raise KeyCommandError("--app must be a slug: lower-case letters, digits, '-' and '_'")
    unknown = [scope for scope in scopes if scope not in set(Scope)]
    if unknown:
        raise KeyCommandError(f"--scope must be one of {', '.join(Scope)}")
    async with open_keys() as store:
        _, plain = await store.create(app, [Scope(scope) for scope in scopes])
    print(plain)


async def list_keys() -> None:
    async with open_keys() as store:
        found = await store.list()
    for key in found:
        created = datetime.fromtimestamp(key.created_at / 1000, UTC).isoformat(timespec="seconds")
        state = "live" if key.revoked_at is None else "revoked"
        print(f"{key.id}  {key.app:<16} {state:<8} {created}  {','.join(sorted(key.scopes))}")


async def revoke_key(key_id: str) -> None:
    async with open_keys() as store:
        if not await store.revoke(key_id):
            raise KeyCommandError("there is no live key with this id; see: countersign keys list")
    print(f"{key_id} is revoked")


def _redis_url() -> str:
    file = os.environ.get("REDIS_URL_FILE")
    if file:
        return Path(file).read_text(encoding="utf-8").strip()
    try:
        return os.environ["REDIS_URL"]
    except KeyError:
        raise KeyCommandError("REDIS_URL is not set: say where Redis is") from None
