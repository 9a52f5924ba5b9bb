"""``countersign apps``: apps and what each has of its own. Needs the environment of ``serve``: definitions
are checked against the configuration, and codes of test numbers are sealed."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.telnyx.calls import AsJson, Config, Yes, confirm, fail

if TYPE_CHECKING:
    from service.flow.apps import Apps, Wanted
    from service.store.api_keys import ApiKeyStore

app = typer.Typer(
    help="Apps: own texts, senders, limits. Needs the environment of `serve`.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="The app's slug.", show_default=False)]
File = Annotated[Path, typer.Argument(help="TOML or JSON; - for standard input.")]
Revision = Annotated[
    int | None, typer.Option(help="Replace just this revision, as shown by: apps show.", min=1)
]
_ACTOR = "operator"
_STDIN = Path("-")


@app.command("list")
def list_all(as_json: AsJson = False, config: Config = None) -> None:
    """List the apps that were defined, and those that only have keys."""
    _run(_list(config, as_json=as_json))


@app.command()
def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Show an app's definition; with --json it can be changed and set again."""
    _run(_show(name, config, as_json=as_json))


@app.command()
def create(
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(help="Its definition, TOML or JSON; - for standard input.")
    ] = None,
    config: Config = None,
) -> None:
    """Create an app, from a file if there is one; it must not be there yet."""
    _run(_create(name, file, config))


@app.command("set")
def set_(name: Name, file: File, revision: Revision = None, config: Config = None) -> None:
    """Replace an app's definition, or create it. Test numbers stay if the file does not name them."""
    _run(_set(name, file, revision, config))


@app.command()
def delete(name: Name, yes: Yes = False, config: Config = None) -> None:
    """Delete an app: its keys are revoked, what it began goes on to its end."""
    confirm(f"Delete the app {name} and revoke its keys?", yes=yes)
    _run(_delete(name, config))


@dataclass(frozen=True, slots=True)
class _Work:
    apps: "Apps"
    keys: "ApiKeyStore"


async def _list(config: Path | None, *, as_json: bool) -> None:
    from service.cli.output import print_json, print_table
    from service.clock import SystemClock

    async with _open(config) as work:
        defined = {one.app.id: one for one in await work.apps.list()}
        keys = [key for key, _ in await work.keys.list() if key.is_live(SystemClock().now())]
    rows = []
    for name in sorted(defined.keys() | {key.app for key in keys}):
        one, live = defined.get(name), sum(key.app == name for key in keys)
        rows.append(
            {
                "app": name,
                "revision": one.revision if one else 0,
                "changed": _instant(one.updated_at) if one and one.updated_at else None,
                "own": sorted(one.definition) if one else [],
                "test_numbers": len(one.app.test_numbers) if one else 0,
                "keys": live,
            }
        )
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


async def _show(name: str, config: Path | None, *, as_json: bool) -> None:
    from service.cli.output import print_json, print_record

    async with _open(config) as work:
        found = await work.apps.get(name)
    if as_json:
        print_json(found.definition)
        return
    print_record(
        {
            "app": name,
            "revision": found.revision,
            "created": _instant(found.created_at) if found.created_at else None,
            "changed": _instant(found.updated_at) if found.updated_at else None,
            **found.definition,
            "test_numbers": [code.masked for code in found.app.test_numbers.values()],
        }
    )


async def _create(name: str, file: Path | None, config: Path | None) -> None:
    wanted = _read(name, file)
    async with _open(config) as work:
        await work.apps.put(name, wanted, expected=None, actor=_ACTOR)
    typer.echo(f"{name} is created; make it a key with: countersign keys create --app {name}")


async def _set(name: str, file: Path, revision: int | None, config: Path | None) -> None:
    from service.domain.errors import AppChangedError

    wanted = _read(name, file)
    async with _open(config) as work:
        before = {one.app.id: one for one in await work.apps.list()}.get(name)
        if revision is not None and (before is None or before.revision != revision):
            raise AppChangedError
        expected = before.tag if before is not None and before.revision else None
        written = await work.apps.put(name, wanted, expected=expected, actor=_ACTOR)
    typer.echo(f"{name} is set, revision {written.revision}; instances notice within seconds")


async def _delete(name: str, config: Path | None) -> None:
    from service.flow.apps import ANY

    async with _open(config) as work:
        await work.apps.delete(name, expected=ANY, actor=_ACTOR)
    typer.echo(f"{name} is deleted")


def _read(name: str, file: Path | None) -> "Wanted":
    """The definition in a file, checked as the admin API checks it."""
    from pydantic import ValidationError

    from service.api.apps import AppBody
    from service.api.body import faults_of
    from service.domain.app import is_app
    from service.domain.errors import InvalidRequestError

    if not is_app(name):
        fail("the app must be a slug: lower-case letters, digits, '-' and '_'")
    try:
        return AppBody.model_validate({} if file is None else _parse(file)).wanted()
    except ValidationError as error:
        raise InvalidRequestError(faults_of(error)) from None


def _parse(file: Path) -> Any:
    import tomllib

    try:
        text = sys.stdin.read() if file == _STDIN else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {type(error).__name__}")
    try:
        return json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        fail(f"{file} is neither TOML nor JSON: {error}")


@asynccontextmanager
async def _open(config: Path | None) -> AsyncIterator[_Work]:
    from service.clock import SystemClock
    from service.flow.api_keys import ApiKeys
    from service.flow.apps import Apps
    from service.settings import load_settings
    from service.store.api_keys import ApiKeyStore
    from service.store.apps import AppStore
    from service.store.connection import Connection
    from service.store.lookup import open_keyring
    from service.store.scripts import Scripts
    from service.store.setup import check_setup

    settings, clock = load_settings(config), SystemClock()
    connection = await Connection.open(settings.redis_url.get_secret_value(), settings.tls())
    try:
        await check_setup(connection)
        keys = ApiKeyStore(connection, clock)
        apps = Apps(
            store=AppStore(connection, Scripts(connection), clock),
            api_keys=ApiKeys(keys, clock),
            ground=settings.ground(),
            keyring=await open_keyring(connection, settings.keyring(), clock.now()),
            clock=clock,
        )
        yield _Work(apps, keys)
    finally:
        await connection.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    from service.domain.errors import (
        AppChangedError,
        AppExistsError,
        CountersignError,
        InvalidRequestError,
        UnavailableError,
    )
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError

    try:
        asyncio.run(work)
    except InvalidRequestError as error:
        fail("; ".join(_fault(fault) for fault in error.faults))
    except AppExistsError:
        fail("the app is there already: change it with apps set")
    except AppChangedError:
        fail("somebody else changed the app: look at it again with apps show")
    except (SettingsError, StoreSetupError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")
    except CountersignError as error:
        fail(error.detail)


def _fault(fault: Any) -> str:
    return f"{fault.pointer} {fault.detail}".strip()


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
