"""``countersign opt-outs``: the opt-outs in the store, and Telnyx's list of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.telnyx.calls import AsJson, Config, fail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.cli.opt_out_work import OptOutWork

app = typer.Typer(
    help="Opt-outs: who gets no messages. Needs the environment of `serve`.", no_args_is_help=True
)
Number = Annotated[str, typer.Argument(help="E.164, such as +12025550123.", show_default=False)]
Scope = Annotated[str, typer.Option(help="* (everything), app:<name> or profile:<id>.")]


@app.command("list")
def list_all(as_json: AsJson = False, config: Config = None) -> None:
    """List all opt-outs, masked."""
    _run(config, lambda work: work.list_all(as_json=as_json))


@app.command()
def get(number: Number, as_json: AsJson = False, config: Config = None) -> None:
    """Show a number's opt-outs, under every scope."""
    _run(config, lambda work: work.get(number, as_json=as_json))


@app.command()
def add(number: Number, scope: Scope = "*", config: Config = None) -> None:
    """Record an opt-out, and stop what is pending."""
    _run(config, lambda work: work.add(number, scope))


@app.command()
def lift(number: Number, scope: Scope = "*", config: Config = None) -> None:
    """Lift an opt-out. Telnyx's own block stays until the person texts START."""
    _run(config, lambda work: work.lift(number, scope))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV: number or recipient, scope, since, source.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Record the opt-outs of a CSV file. What is known already stays as it is, so it can be run again."""
    _run(config, lambda work: work.import_(file, as_json=as_json))


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Standard output if it is not given.")] = None,
    config: Config = None,
) -> None:
    """Write all opt-outs as CSV. Numbers cannot be read back from the store: the file holds masks and
    look-up digests, which an import understands under the same COUNTERSIGN_KEYS."""
    _run(config, lambda work: work.export(file))


@app.command()
def sync(as_json: AsJson = False, config: Config = None) -> None:
    """Bring Telnyx's list and ours together; a run that was stopped goes on where it was."""
    _run(config, lambda work: work.sync(as_json=as_json))


def _run(config: Path | None, command: "Callable[[OptOutWork], Awaitable[None]]") -> None:
    import asyncio

    from service.cli.opt_out_work import OptOutCommandError, open_work
    from service.domain.errors import UnavailableError
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError
    from service.telemetry import configure_logging
    from service.telnyx.failures import TelnyxCallError

    configure_logging("WARNING")

    async def run() -> None:
        async with open_work(config) as work:
            await command(work)

    try:
        asyncio.run(run())
    except (SettingsError, StoreSetupError, OptOutCommandError, TelnyxCallError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")
