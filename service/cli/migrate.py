"""``countersign migrate``: bringing the data to this release's layout (service/store/migrations)."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.audit.on_store import on_store
from service.cli.telnyx.calls import fail

if TYPE_CHECKING:
    from service.store.migrations.state import State

app = typer.Typer(help="Upgrades of the data in Redis.", no_args_is_help=True)
_LOOK = 0.2
_QUESTION = (
    "No older release can start on the data afterwards. Does none of its processes run any more?"
)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show which layout the data has, and what is left to be done. Needs REDIS_URL."""
    on_store(_status(as_json=as_json))


@app.command()
def run(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End an upgrade: once no process of an older release runs, and none will. Needs REDIS_URL.

    Logins go on meanwhile. It may be interrupted: workers go on with it, and so does the next run.
    """
    on_store(_run(yes=yes))


async def _status(*, as_json: bool) -> None:
    from service.cli.store import open_store
    from service.store.migrations.state import MigrationStore
    from service.store.scripts import Scripts
    from service.store.setup import LAYOUTS

    async with open_store() as connection:
        state = await MigrationStore(connection, Scripts(connection)).state()
    if as_json:
        shown = {
            "layout": state.layout,
            "known": LAYOUTS,
            "done": state.is_done,
            "closing": state.closing,
            "passed": state.passed,
        }
        typer.echo(json.dumps(shown))
    else:
        typer.echo("\n".join(_told(state)))


def _told(state: "State") -> list[str]:
    from service.store.keys import PARTITIONS
    from service.store.migrations.steps import STEPS
    from service.store.setup import LAYOUT

    if state.is_done:
        return [f"The data has layout {LAYOUT}, this release's. Nothing is left to be done."]
    return [
        f"The data has layout {state.layout}, this release's is {LAYOUT}.",
        *(f"  {state.passed[s.name]} of {PARTITIONS} partitions: {s.what}" for s in STEPS),
        "The last pass is under way."
        if state.closing
        else "Once no process of an older release runs: countersign migrate run",
    ]


async def _run(*, yes: bool) -> None:
    from service.cli.store import open_store
    from service.clock import SystemClock
    from service.flow.migrating import Migrating
    from service.store.scripts import Scripts
    from service.telemetry import Metrics

    async with open_store() as connection:
        migrating = Migrating(connection, Scripts(connection), SystemClock(), Metrics())
        state = await migrating.store.state()
        if not state.is_done and not state.is_ready:
            fail("no process of this release has started on the data yet: start one first")
        if not state.is_done and not state.closing:
            if not yes and not typer.confirm(_QUESTION):
                fail("end them first: they write what this release would then take for its own")
            await migrating.store.close()
        while not await migrating():  # noqa: ASYNC110 - another process is at it
            await asyncio.sleep(_LOOK)
        typer.echo("\n".join(_told(await migrating.store.state())))
