"""``countersign guard``: what the guard blocks (SMS pumping, closed routes), and what it would block under
another policy."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.telnyx.calls import AsJson, fail

if TYPE_CHECKING:
    from service.domain.replay import Difference, Row

app = typer.Typer(
    help="What is blocked, and why: SMS pumping, and routes that Telnyx closed.",
    no_args_is_help=True,
)


@app.command()
def blocks(as_json: AsJson = False) -> None:
    """List what is blocked or on probation, with the figures at which it tripped, and each open breaker.
    Needs REDIS_URL."""
    _on_store(_blocks(as_json=as_json))


@app.command()
def release(key: Annotated[str, typer.Argument(help="As shown by: guard blocks.")]) -> None:
    """End a block and its probation, or close a breaker. Needs REDIS_URL."""
    _on_store(_release(key))


@app.command()
def replay(
    export: Annotated[
        Path, typer.Option("--from", help="The audit trail, one event (JSON) a line.")
    ],
    policy: Annotated[
        Path,
        typer.Option(help="TOML with the changed [guard.pumping]; a whole configuration will do."),
    ],
    as_json: AsJson = False,
) -> None:
    """Judge what was recorded by a changed policy, and show the difference. Touches no store."""
    from service.cli.in_order import ExportError, read_in_order
    from service.domain.replay import is_of_interest
    from service.domain.replay import replay as run
    from service.settings import SettingsError, load_pumping

    try:
        with export.open(encoding="utf-8") as lines:
            found = run(read_in_order(lines, is_of_interest), load_pumping(policy))
    except SettingsError as error:
        fail(str(error))
    except ExportError as error:
        fail(f"{export}: {error}")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{export} cannot be read: {type(error).__name__}")
    except (KeyError, ValueError, TypeError):
        fail(f"{export}: an event lacks a member, or has one that no audit event has")
    _show(found, as_json=as_json)


async def _blocks(*, as_json: bool) -> None:
    from service.cli.output import print_json, print_table
    from service.cli.store import open_store
    from service.clock import SystemClock
    from service.domain.breaker import RULE
    from service.store.breakers import BreakerStore
    from service.store.pumping import PumpingStore
    from service.store.scripts import Scripts

    now = SystemClock().now()
    async with open_store() as connection:
        found = await PumpingStore(connection, Scripts(connection)).blocks(now)
        opened = await BreakerStore(connection, Scripts(connection)).opened()
    if as_json:
        for one in found:
            print_json({"key": one.name, **asdict(one.block), **one.about, "now": now})
        for breaker in opened:
            figures = {"until": breaker.until, "strikes": breaker.strikes, "code": breaker.code}
            print_json({"key": f"{RULE}:{breaker.route}", **figures, **breaker.about, "now": now})
        return
    print_table(
        ("key", "state", "until", "strikes", "window", "sent", "proven", "threshold", "tripped by"),
        [
            (
                one.name,
                "blocked" if now < one.block.until else "probation",
                instant(one.block.until),
                *(one.block.strikes, f"{one.block.window} s"),
                *(one.block.sent, one.block.proven, one.block.threshold),
                " ".join(one.about[name] for name in ("app", "country", "masked")),
            )
            for one in found
        ],
    )
    if opened:
        print_table(
            ("key", "state", "until", "strikes", "code", "opened by"),
            [
                (
                    f"{RULE}:{breaker.route}",
                    "open" if now < breaker.until else "tried",
                    instant(breaker.until),
                    *(breaker.strikes, breaker.code),
                    " ".join(breaker.about.values()),
                )
                for breaker in opened
            ],
            title="Breakers",
        )


def instant(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


async def _release(key: str) -> None:
    from service.cli.store import open_store
    from service.clock import SystemClock
    from service.domain.audit import of_breaker_release, of_release
    from service.domain.breaker import RULE
    from service.domain.pumping import Dimension
    from service.store.breakers import BreakerStore
    from service.store.keys import is_digest
    from service.store.pumping import PumpingStore
    from service.store.scripts import Scripts

    dimension, _, digest = key.partition(":")
    if dimension == RULE:
        async with open_store() as connection:
            now, breakers = SystemClock().now(), BreakerStore(connection, Scripts(connection))
            event = of_breaker_release(digest, now, actor="operator")
            if not await breakers.close(digest, now, event):
                fail("there is no such breaker; see: countersign guard blocks")
        typer.echo(f"{key} is released")
        return
    if dimension not in set(Dimension) or not is_digest(digest):
        fail(
            "a key is a dimension, ':' and 32 hexadecimal digits, or breaker:<route>, as shown by: "
            "guard blocks"
        )
    async with open_store() as connection:
        event = of_release(key, SystemClock().now(), actor="operator")
        store = PumpingStore(connection, Scripts(connection))
        if not await store.release(Dimension(dimension), digest, event):
            fail("there is no block of this key; see: countersign guard blocks")
    typer.echo(f"{key} is released")


def _on_store(work: Coroutine[Any, Any, None]) -> None:
    from service.domain.errors import UnavailableError
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError

    try:
        asyncio.run(work)
    except (SettingsError, StoreSetupError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")


def _show(found: "Difference", *, as_json: bool) -> None:
    from service.cli.output import print_json, print_table

    countries = sorted(found.countries.items(), key=lambda item: (-item[1].asked, item[0]))
    dimensions = sorted(found.before | found.after)
    if as_json:
        print_json(
            {
                "total": asdict(found.total),
                "countries": {name: asdict(row) for name, row in countries},
                "dimensions": {
                    name: {"before": found.before[name], "after": found.after[name]}
                    for name in dimensions
                },
            }
        )
        return
    print_table(
        ("country", "asked", "blocked before", "after", "change", "proven before", "after"),
        _rows([*countries, ("all", found.total)]),
        title="Messages by country",
    )
    print_table(
        ("dimension", "blocked before", "after", "change"),
        [
            (
                name,
                found.before[name],
                found.after[name],
                f"{found.after[name] - found.before[name]:+}",
            )
            for name in dimensions
        ],
        title="Blocks by dimension",
    )
    typer.echo("Proven: blocked (or to be), and the code was typed in all the same: a false block.")


def _rows(rows: "Iterable[tuple[str, Row]]") -> list[tuple[object, ...]]:
    return [
        (
            *(name, row.asked, row.before, row.after, f"{row.after - row.before:+}"),
            *(row.proven_before, row.proven_after),
        )
        for name, row in rows
    ]
