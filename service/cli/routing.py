"""``countersign routing``: the order of senders in each country, as it is now, and why."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.telnyx.calls import AsJson, Config, fail

if TYPE_CHECKING:
    from service.domain.app import App
    from service.domain.ordering import Evidence, Place
    from service.domain.quarantine import Quarantined
    from service.domain.stats import Where
    from service.settings import Settings


def routing(
    country: Annotated[
        str | None,
        typer.Option(help="Only this one (ISO 3166-1, two letters).", show_default=False),
    ] = None,
    app: Annotated[
        str, typer.Option(help="Whose starts; apps with routes or senders of their own differ.")
    ] = "default",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show each country's senders in their order now, why, and the figures. Needs REDIS_URL and --config."""
    from service.domain.errors import UnavailableError
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError

    try:
        asyncio.run(_show(config, app, country, as_json=as_json))
    except (SettingsError, StoreSetupError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")


async def _show(config: Path | None, app_id: str, only: str | None, *, as_json: bool) -> None:
    from service.cli.output import print_json, print_table
    from service.cli.store import open_store
    from service.clock import SystemClock
    from service.domain.ordering import evidence_of
    from service.domain.stats import TOGETHER
    from service.flow.ordering import Figures
    from service.settings import load_plans
    from service.store.apps import AppStore
    from service.store.quarantines import QuarantineStore
    from service.store.scripts import Scripts
    from service.store.stats import StatsStore

    settings, clock = load_plans(config), SystemClock()
    async with open_store() as connection:
        scripts = Scripts(connection)
        stats = StatsStore(connection, scripts, settings.routing().senders)
        apps = AppStore(connection, scripts, clock)
        app = await apps.get(app_id)
        apart = frozenset(d.app.id for d in await apps.list() if d.app.chooses_senders)
        figures = await Figures(stats, clock).read(apart)
        evidence = evidence_of(figures[app.id if app.chooses_senders else TOGETHER])
        held = await QuarantineStore(connection, scripts).all()
    routes = app.routes or settings.routing().routes
    named = {c for route in routes for c in route.countries if c != "*"}
    wanted = [only] if only else sorted(named | {where.country for where in evidence})
    found = [
        (country, list(_order(settings, app, country, evidence, held, clock.now())))
        for country in wanted
    ]
    if as_json:
        for country, places in found:
            print_json({"country": country, "order": [_members(place) for place in places]})
        return
    print_table(
        ("country", "place", "sender", "why", "first messages", "typed in", "cost", "until"),
        (row for country, places in found for row in _rows(country, places)),
    )
    typer.echo(
        "First messages of the last day; a person's own last sender, and trials, come before this."
    )


def _order(
    settings: "Settings",
    app: "App",
    country: str,
    evidence: "dict[Where, Evidence]",
    held: "dict[Where, Quarantined]",
    now: int,
) -> "Iterable[Place]":
    from service.domain.ordering import Why, as_given, order
    from service.domain.plan import is_fixed, plan_for

    routes = app.routes or settings.routing().routes
    senders = app.senders_among(settings.routing().senders)
    plan = [senders[name] for name in plan_for(country, routes) or () if name in senders]
    if is_fixed(country, routes):
        return as_given(plan, Why.FIXED)
    return order(
        plan,
        replace(settings.ordering_policy(), explore=0.0, trial=0.0),
        Random(0),  # noqa: S311 - nothing is left to chance
        now=now,
        evidence={where.sender: one for where, one in evidence.items() if where.country == country},
        quarantined={where.sender: one for where, one in held.items() if where.country == country},
    )


def _members(place: "Place") -> dict[str, object]:
    """With the counts, which are an operator's to see."""
    found = place.to_members()
    if place.evidence is not None:
        found |= {"sent": place.evidence.sent, "typed": place.evidence.proven}
    if place.quarantined is not None:
        found |= {"failed": place.quarantined.failed, "of": place.quarantined.known}
    return found


def _rows(country: str, places: "list[Place]") -> Iterator[tuple[object, ...]]:
    from service.cli.guard import instant
    from service.domain.stats import MICROS

    for number, place in enumerate(places, start=1):
        seen, q = place.evidence, place.quarantined
        share = f"{seen.proven / seen.sent:.0%}" if seen and seen.sent else None
        cost = f"{seen.cost / MICROS:.4f}" if seen and seen.cost is not None else None
        why = place.why + (f", {q.failed} of {q.known} failed" if q else "")
        yield (
            *(country, number, place.sender.name, why),
            *(int(seen.sent) if seen else None, share, cost, instant(q.until) if q else None),
        )
