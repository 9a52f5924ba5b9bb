"""How a command calls the account: settings, one connection, failures as a sentence, output."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from service.cli.output import print_json, print_record, print_table

if TYPE_CHECKING:
    from pydantic import BaseModel

    from service.settings import AccountSettings
    from service.telnyx.account import TelnyxAccount
    from service.telnyx.resources import Resource

T = TypeVar("T")
R = TypeVar("R", bound="Resource")
M = TypeVar("M", bound="BaseModel")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="COUNTERSIGN_CONFIG", help="The TOML file.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts; a list as one line each.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def call(config: Path | None, work: Callable[["TelnyxAccount"], Awaitable[T]]) -> T:
    """Run ``work`` on the account; a failure ends the command with what to do."""
    return call_with(config, lambda account, _: work(account))


def call_with(
    config: Path | None,
    work: Callable[["TelnyxAccount", "AccountSettings"], Awaitable[T]],
) -> T:
    from service.clock import SystemClock
    from service.settings import SettingsError, load_account_settings
    from service.telnyx.account import TelnyxAccount
    from service.telnyx.failures import TelnyxCallError

    async def run() -> T:
        settings = load_account_settings(config)
        account = TelnyxAccount(settings.telnyx(), SystemClock())
        try:
            return await work(account, settings)
        finally:
            await account.close()

    try:
        return asyncio.run(run())
    except (SettingsError, TelnyxCallError) as error:
        fail(str(error))


def show(record: "Resource", *, as_json: bool) -> None:
    values = record.as_it_came()
    if as_json:
        print_json(values)
    else:
        print_record(values)


def show_all(
    config: Path | None,
    items: Callable[["TelnyxAccount"], AsyncIterator[R] | Awaitable[Sequence[R]]],
    columns: dict[str, Callable[[R], object]],
    *,
    as_json: bool,
) -> None:
    """A table, or with JSON each item as soon as it is there."""

    async def read(account: "TelnyxAccount") -> list[R]:
        found = []
        source = items(account)
        if isinstance(source, Awaitable):
            found = list(await source)
            for item in found if as_json else ():
                print_json(item.as_it_came())
            return found
        async for item in source:
            if as_json:
                print_json(item.as_it_came())
            else:
                found.append(item)
        return found

    found = call(config, read)
    if not as_json:
        rows: Iterable[Sequence[object]] = [
            [value(item) for value in columns.values()] for item in found
        ]
        print_table(list(columns), rows)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what cannot be undone; ends the command if the answer is no."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def read_given(form: type[M], given: dict[str, Any]) -> M:
    """What was given on the command line, checked before Telnyx is asked."""
    from pydantic import ValidationError

    try:
        return form.model_validate({k: value for k, value in given.items() if value is not None})
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        faults = [": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in found]
        fail("; ".join(faults).replace("Value error, ", ""))


def fail(message: str) -> NoReturn:
    typer.echo(f"countersign: {message}", err=True)
    raise typer.Exit(1)
