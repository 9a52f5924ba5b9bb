"""``countersign callbacks``: receivers' secrets, and the callbacks that could not be delivered."""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from service.store.callbacks import CallbackStore, DeadLetter

callbacks = typer.Typer(
    help="Status callbacks: secrets of receivers, and dead letters.", no_args_is_help=True
)

Ids = Annotated[list[str] | None, typer.Argument(help="As shown by: callbacks list.")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter.")]

_ID = re.compile(r"msg_(?:[0-5][0-9]|6[0-3])_[0-9]+-[0-9]+", re.ASCII)


class CallbackCommandError(Exception):
    """The command cannot be carried out; the message says why."""


@callbacks.command()
def secret(
    app: Annotated[str, typer.Option(help="The app; without it, for the url of [callbacks].")] = "",
) -> None:
    """Print a receiver's secret (whsec_, for v1) and public key (whpk_, for v1a)."""
    from service.callbacks.signature import secrets_of
    from service.settings import SettingsError, load_keyring

    try:
        newest, *older = secrets_of(load_keyring(), app)
    except SettingsError as error:
        _fail(str(error))
    typer.echo(f"{newest.secret}\n{newest.public_key}")
    if older:
        typer.echo("Signed under the previous master key too: secrets from before hold.", err=True)


@callbacks.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="All of it, for programs.")] = False,
) -> None:
    """List the dead letters: callbacks that were given up."""
    _run(_list(as_json))


@callbacks.command()
def resend(ids: Ids = None, all_: All = False) -> None:
    """Queue dead letters again, under their webhook-ids, for another round of tries."""
    _run(_resend(ids or [], all_))


@callbacks.command()
def drop(ids: Ids = None, all_: All = False) -> None:
    """Forget dead letters."""
    _run(_drop(ids or [], all_))


async def _list(as_json: bool) -> None:
    from service.cli.output import print_json, print_table

    async with _open() as store:
        letters = await store.dead_letters()
    if as_json:
        print_json([asdict(letter) for letter in letters])
    else:
        print_table(("id", "given up", "event", "of", "to", "tries", "answer"), map(_row, letters))


def _row(letter: "DeadLetter") -> tuple[object, ...]:
    import json

    from service.domain.callback import host_of

    callback = letter.callback
    return (
        callback.id,
        datetime.fromtimestamp(letter.at / 1000, UTC).isoformat(timespec="seconds"),
        json.loads(callback.event)["type"],
        callback.subject,
        host_of(callback.url) if callback.url else "[callbacks] url",
        letter.tries,
        letter.answer,
    )


async def _resend(ids: list[str], all_: bool) -> None:
    from service.clock import SystemClock

    async with _open() as store:
        letters = await _chosen(store, ids, all_)
        now = SystemClock().now()
        done = sum([await store.resend(letter, now) for letter in letters])
    typer.echo(f"{done} queued again")


async def _drop(ids: list[str], all_: bool) -> None:
    async with _open() as store:
        letters = await _chosen(store, ids, all_)
        done = sum([await store.drop(letter.callback.id) for letter in letters])
    typer.echo(f"{done} dropped")


async def _chosen(store: "CallbackStore", ids: list[str], all_: bool) -> list["DeadLetter"]:
    if all_ == bool(ids):
        raise CallbackCommandError("name dead letters by their ids, or give --all")
    if all_:
        return await store.dead_letters()
    found = {id_: await store.dead_letter(id_) if _ID.fullmatch(id_) else None for id_ in ids}
    unknown = [id_ for id_, letter in found.items() if letter is None]
    if unknown:
        raise CallbackCommandError(
            f"there is no dead letter {', '.join(unknown)}; see: countersign callbacks list"
        )
    return [letter for letter in found.values() if letter is not None]


@asynccontextmanager
async def _open() -> AsyncIterator["CallbackStore"]:
    from service.callbacks.deliveries import LEASE
    from service.cli.store import open_store
    from service.store.callbacks import CallbackStore
    from service.store.scripts import Scripts

    async with open_store() as connection:
        yield CallbackStore(connection, Scripts(connection), lease=LEASE)


def _run(work: Coroutine[Any, Any, None]) -> None:
    from service.domain.errors import UnavailableError
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError

    try:
        asyncio.run(work)
    except (CallbackCommandError, SettingsError, StoreSetupError) as error:
        _fail(str(error))
    except UnavailableError:
        _fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")


def _fail(message: str) -> NoReturn:
    typer.echo(f"countersign: {message}", err=True)
    raise typer.Exit(1)
