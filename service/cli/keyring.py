"""``countersign keyring``: the master keys, in COUNTERSIGN_KEYS or in the file that COUNTERSIGN_KEYS_FILE
names. A file is edited in place; where only the environment is used, the new value is printed."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.secrets import new_key, write_secret

if TYPE_CHECKING:
    from service.domain.keyring import Keyring
    from service.store.census import Need
    from service.store.connection import Connection
    from service.store.lookup import KnownKeys

keyring = typer.Typer(help="Master keys (COUNTERSIGN_KEYS).", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="As shown by: keyring status.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Do it although a check says no.")]


class KeyringCommandError(Exception):
    """The command cannot be carried out; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The master keys, newest first, and the file they are in; ``None``: the environment."""

    keys: tuple[bytes, ...]
    file: Path | None

    def opened(self) -> "Keyring":
        from service.domain.keyring import Keyring

        return Keyring(self.keys)

    def position(self, key_id: str) -> int:
        ids = self.opened().ids
        if key_id not in ids:
            raise KeyringCommandError(
                f"there is no key {key_id!r} in the keyring: it holds {', '.join(ids)}"
            )
        return ids.index(key_id)

    def replace(self, keys: Sequence[bytes]) -> None:
        """Write the file, whole and readable by its owner alone, or print the value. No backup is
        made: an edit loses no key but the one that is retired, and that one is to be gone."""
        texts = [base64.b64encode(key).decode() for key in keys]
        if self.file is None:
            typer.echo(",".join(texts))
            typer.echo("Set COUNTERSIGN_KEYS to the line above, everywhere.", err=True)
            return
        try:
            write_secret(self.file.resolve(), "\n".join(texts))
        except OSError as error:
            raise KeyringCommandError(f"{self.file} cannot be written: {error.strerror}") from None
        typer.echo(f"{self.file} is written; restart each process for it.", err=True)


@keyring.command()
def generate() -> None:
    """Print a new master key, for a first COUNTERSIGN_KEYS."""
    typer.echo(new_key())


@keyring.command()
def add() -> None:
    """Put a new key second: readable everywhere before anything is written under it."""
    _run(_add())


@keyring.command()
def promote(key_id: KeyId, force: Force = False) -> None:
    """Make a key the newest: what is new is sealed and hashed under it."""
    _run(_promote(key_id, force=force))


@keyring.command()
def retire(key_id: KeyId, force: Force = False) -> None:
    """Drop a key that no live verification needs any more."""
    _run(_retire(key_id, force=force))


@keyring.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the keys, and how many live verifications need each."""
    _run(_status(as_json=as_json))


def read_ring() -> Ring:
    """Read the keyring.

    Raises:
        KeyringCommandError: there is none, or it cannot be read.
        KeyringError: a key is malformed or weak.
    """
    from service.domain.keyring import parse_keys

    text, name = os.environ.get("COUNTERSIGN_KEYS"), os.environ.get("COUNTERSIGN_KEYS_FILE")
    if (text is None) == (name is None):
        raise KeyringCommandError(
            "set COUNTERSIGN_KEYS_FILE, or COUNTERSIGN_KEYS, and not both; "
            "a first key comes from: countersign keyring generate"
        )
    if name is not None:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyringCommandError(f"{name} cannot be read: {type(error).__name__}") from None
    ring = Ring(parse_keys(text or ""), Path(name) if name is not None else None)
    ring.opened()
    return ring


async def _add() -> None:
    ring = read_ring()
    if os.environ.keys() & {"REDIS_URL", "REDIS_URL_FILE"}:
        async with _store() as (connection, _):
            await _check_upgraded(connection)
    added = base64.b64decode(new_key())
    extended = Ring((ring.keys[0], added, *ring.keys[1:]), ring.file)
    ring.replace(extended.keys)
    id_ = extended.opened().ids[1]
    typer.echo(
        f"Key {id_} is second. Once every process runs with it: keyring promote {id_}", err=True
    )


async def _promote(key_id: str, *, force: bool) -> None:
    ring = read_ring()
    position = ring.position(key_id)
    if position == 0:
        raise KeyringCommandError(f"{key_id} is the newest already")
    if not force:
        async with _store() as (connection, _):
            await _check_upgraded(connection)
        _, known, _ = await _look()
        if key_id not in known.since:
            raise KeyringCommandError(
                f"no process has started with {key_id} yet, and none could read what is written "
                f"under it: restart each with the present keyring first (--force: none runs)"
            )
    rest = [key for at, key in enumerate(ring.keys) if at != position]
    ring.replace([ring.keys[position], *rest])


async def _retire(key_id: str, *, force: bool) -> None:
    from service.store.lookup import forget_key, known_keys, open_keyring

    ring = read_ring()
    async with _store() as (connection, now):
        await _check_upgraded(connection)
        if key_id in (await known_keys(connection)).copies - set(ring.opened().ids):
            # A process that started with the old keyring brought the copy back.
            await forget_key(connection, key_id)
            typer.echo(f"{key_id} opens nothing any more.", err=True)
            return
        position = ring.position(key_id)
        if position == 0:
            raise KeyringCommandError(f"{key_id} is the newest key: promote another one first")
        newest = ring.opened().newest
        if newest not in (await known_keys(connection)).since and not force:
            raise KeyringCommandError(f"no process has started with the newest key {newest} yet")
        # A key that stays must open the look-up key before this one goes.
        await open_keyring(connection, ring.opened(), now)
        need = (await _count(connection, now)).get(key_id)
        if need is not None and not force:
            raise KeyringCommandError(
                f"{need.records} live verification(s) need {key_id} until {_time(need.until)}: try again "
                f"then ({(need.until - now) // 1000 + 1} s); --force ends them unanswered"
            )
        ring.replace([key for at, key in enumerate(ring.keys) if at != position])
        await forget_key(connection, key_id)


async def _status(*, as_json: bool) -> None:
    ring = read_ring()
    needs, known, now = await _look()
    ids = ring.opened().ids
    rows = [
        _row(id_, ids, needs.get(id_), known, now)
        for id_ in (*ids, *sorted((needs.keys() | known.copies) - set(ids)))
    ]
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        _print(rows)
    missing = [id_ for id_ in needs if id_ not in ids]
    if missing:
        raise KeyringCommandError(
            f"live verifications need keys that the keyring lacks: {', '.join(missing)}: put them back"
        )


def _row(
    id_: str, ids: Sequence[str], need: "Need | None", known: "KnownKeys", now: int
) -> dict[str, object]:
    since = known.since.get(id_)
    place = "retired" if id_ not in ids else "newest" if id_ == ids[0] else "older"
    if id_ in ids[1:] and since is None:
        place = "not in use yet"
    return {
        "id": id_,
        "place": place,
        "since": _time(since) if since is not None else None,
        "age_days": (now - since) // 86_400_000 if since is not None else None,
        "live_verifications": need.records if need is not None else 0,
        "needed_until": _time(need.until) if need is not None else None,
        "opens_look_ups": id_ in known.copies,
    }


def _print(rows: Sequence[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("key", "place", "in use since", "days", "live", "needed until", "opens look-ups"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console = Console()
    console.width = max(console.width, 120)  # an id that is cut off is of no use
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


async def _look() -> "tuple[dict[str, Need], KnownKeys, int]":
    """What the store says of the keys; nothing is written to it."""
    from service.store.lookup import known_keys

    async with _store() as (connection, now):
        return await _count(connection, now), await known_keys(connection), now


@asynccontextmanager
async def _store() -> "AsyncIterator[tuple[Connection, int]]":
    """The store, and its time."""
    from service.cli.store import open_store

    async with open_store() as connection:
        yield connection, await connection.time()


async def _check_upgraded(connection: "Connection") -> None:
    """Layout 1 derived the look-up key from the oldest master key: a process of that release would look under
    another key for every opt-out, if the oldest became another one."""
    from service.store.migrations.state import MigrationStore
    from service.store.scripts import Scripts

    if not (await MigrationStore(connection, Scripts(connection)).state()).is_done:
        raise KeyringCommandError("an upgrade is under way: end it first (countersign migrate run)")


async def _count(connection: "Connection", now: int) -> "dict[str, Need]":
    from rich.console import Console

    from service.store.census import count_needs

    with Console(stderr=True).status("Reading the verifications ...") as shown:
        return await count_needs(
            connection, now, lambda count: shown.update(f"Reading the verifications: {count} ...")
        )


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _run(work: Coroutine[object, object, None]) -> None:
    from service.cli.commands import fail
    from service.domain.errors import UnavailableError
    from service.domain.keyring import KeyringError
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError

    try:
        asyncio.run(work)
    except (KeyringCommandError, KeyringError, SettingsError, StoreSetupError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")
