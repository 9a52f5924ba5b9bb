"""``countersign simulate``: what a configuration would do, in virtual time over a model of the world."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.telnyx.calls import Config, fail

if TYPE_CHECKING:
    from collections import Counter

    from service.settings import Settings
    from service.simulation.engine import Configuration
    from service.simulation.model import Model
    from service.simulation.outcome import Figure, Tally

_WITHIN = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)
_LONGEST_BAR = 30
_DIGITS = 6
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class _Run:
    name: str
    tally: "Tally"


def simulate(
    config: Config = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="Another TOML file: what would change with it.", show_default=False),
    ] = None,
    people: Annotated[int, typer.Option(help="How many log in.", min=40, max=1_000_000)] = 5_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
    model: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file in the place of the model that comes with it.", show_default=False
        ),
    ] = None,
    stats: Annotated[
        Path | None,
        typer.Option(
            help="What GET /v1/stats/deliveries answered: its countries and senders in the model.",
            show_default=False,
        ),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(help="Write a chart of approvals by time there.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Simulate logins under a configuration, or compare two; with adaptive = true, it and its fixed order.

    Senders, people and incidents are a model's, whose numbers are assumptions: --model takes yours. Needs no
    secret, no Redis and no network; the built-in configuration is that of `countersign up`.
    """
    from service.settings import SettingsError
    from service.settings.simulation import load_model

    try:
        world = load_model(model)
        if stats is not None:
            world = _observed(world, stats)
        wanted = _configurations(config, compare)
    except SettingsError as error:
        fail(str(error))
    began = time.process_time()
    runs = [
        _Run(name, _run(name, settings, world, people=people, seed=seed))
        for name, settings in wanted
    ]
    took = time.process_time() - began
    if svg is not None:
        _write_svg(svg, runs)
    if as_json:
        _print_json(runs, people=people, seed=seed, model=model.name if model else "built-in")
    else:
        _show(runs)
    total = sum(run.tally.logins for run in runs)
    if total >= _MANY:
        typer.echo(f"{total:,} logins, {total / took:,.0f} in a second of one core", err=True)


def _observed(model: "Model", stats: Path) -> "Model":
    from service.simulation.observed import observed

    try:
        found = observed(model, json.loads(stats.read_text(encoding="utf-8"))["rows"])
    except OSError as error:
        fail(f"{stats} cannot be read: {error.strerror}")
    except (KeyError, TypeError, ValueError):
        fail(f"{stats} is not what GET /v1/stats/deliveries answers, by country and sender")
    if not found.countries:
        fail(f"{stats} has no message: take a longer window")
    return found


def _configurations(config: Path | None, compare: Path | None) -> list[tuple[str, "Settings"]]:
    from service.settings import load_plans

    if config is None:
        with resources.as_file(resources.files("service.cli") / "up.toml") as built_in:
            first = ("built-in", load_plans(built_in))
    else:
        first = (config.name, load_plans(config))
    if compare is not None:
        name = compare.name if compare.name != first[0] else str(compare)
        return [first, (name, load_plans(compare))]
    if not first[1].adaptive:
        return [first]
    fixed = first[1].model_copy(
        update={"adaptive": False, "ordering": type(first[1].ordering)(sticky=False)}
    )
    return [("fixed order", fixed), ("adaptive", first[1])]


def _configuration(settings: "Settings") -> "Configuration":
    from service.settings.sections import milliseconds
    from service.simulation.engine import Configuration

    routing = settings.routing()
    return Configuration(
        senders=routing.senders,
        routes=routing.routes,
        policy=settings.policy(),
        ordering=settings.ordering_policy(),
        quarantine=settings.ordering.quarantine_policy(),
        ttl=milliseconds(settings.codes.ttl),
        attempts=routing.attempts,
        resend_after=routing.resend_after,
    )


def _run(name: str, settings: "Settings", model: "Model", *, people: int, seed: int) -> "Tally":
    from rich.console import Console

    from service.simulation.engine import Engine
    from service.simulation.outcome import Tally

    tally = Tally()
    with Console(stderr=True).status(f"{name} ..."):
        engine = Engine(_configuration(settings), model, people=people, seed=seed, on_end=tally.add)
        engine.run()
    return tally


def _show(runs: Sequence[_Run]) -> None:
    from service.cli.output import print_table
    from service.simulation.outcome import FIGURES, differences, figures

    names = [run.name for run in runs]
    found = [figures(run.tally.groups) for run in runs]
    change = differences(*(run.tally.groups for run in runs)) if len(runs) > 1 else {}
    print_table(
        ("", *names, *(["change", "with 95 % confidence"] if change else [])),
        [
            (
                figure,
                *(_bounded(figure, one[figure]) for one in found),
                *(_change(figure, change[figure]) if change else ()),
            )
            for figure in FIGURES
        ],
        title=f"{runs[0].tally.logins:,} logins, simulated",
    )
    print_table(
        ("country", "", *names, *(["change"] if change else [])),
        _countries(runs),
        title="By country",
    )
    fallbacks = [run.tally.all_fallbacks for run in runs]
    print_table(("", *names), _counted(fallbacks), title="Fallbacks by reason")
    first = [run.tally.first for run in runs]
    print_table(("", *names), _counted(first), title="Why the first sender was first")
    print_table(
        ("approved within", *names),
        [
            (f"{seconds} s", *(_bar(run.tally.within(seconds)) for run in runs))
            for seconds in _WITHIN
        ],
        title="Approvals by time",
    )
    typer.echo("These are a model's answers: its numbers are assumptions, see --model.")


def _countries(runs: Sequence[_Run]) -> Iterable[tuple[object, ...]]:
    from service.simulation.outcome import FIGURES, differences, figures

    for country in sorted(runs[0].tally.countries):
        sides = [run.tally.countries[country] for run in runs]
        logins = [int(sum(group["logins"] for group in groups)) for groups in sides]
        yield (country, "logins", *logins, *([""] if len(sides) > 1 else []))
        found = [figures(groups) for groups in sides]
        change = differences(*sides) if len(sides) > 1 else {}
        for figure in FIGURES:
            cells = [_value(figure, one[figure].value) for one in found]
            yield (country, figure, *cells, *([_sure(figure, change[figure])] if change else []))


def _counted(counters: "Sequence[Counter[str]]") -> Iterable[tuple[object, ...]]:
    for name in sorted(set().union(*counters), key=lambda name: (-counters[0][name], name)):
        yield (str(name), *(counter[name] for counter in counters))


def _value(figure: str, value: float) -> str:
    from service.simulation.outcome import SHARES

    return f"{100 * value:.1f} %" if figure in SHARES else f"{value:.4f}"


def _bounded(figure: str, found: "Figure") -> str:
    low, high = (_value(figure, max(one, 0.0)) for one in (found.low, found.high))
    return f"{_value(figure, found.value)} ({low} to {high})"


def _by(figure: str, value: float) -> str:
    from service.simulation.outcome import SHARES

    return f"{100 * value:+.1f} points" if figure in SHARES else f"{value:+.4f}"


def _sure(figure: str, found: "Figure") -> str:
    """A change that may be none says so."""
    return _by(figure, found.value) if _is_sure(found) else "none for sure"


def _is_sure(found: "Figure") -> bool:
    return found.low > 0 or found.high < 0


def _change(figure: str, found: "Figure") -> tuple[str, str]:
    bounds = f"{_by(figure, found.low)} to {_by(figure, found.high)}"
    return _by(figure, found.value), bounds if _is_sure(found) else f"{bounds}: none for sure"


def _bar(share: float) -> str:
    return f"{100 * share:5.1f} % " + "█" * round(share * _LONGEST_BAR)


def _print_json(runs: Sequence[_Run], **about: Any) -> None:
    from service.cli.output import print_json
    from service.simulation.outcome import differences, figures

    document: dict[str, Any] = {
        **about,
        "logins": runs[0].tally.logins,
        "runs": [
            {
                "name": run.name,
                "figures": _rounded(figures(run.tally.groups)),
                "fallbacks": dict(sorted(run.tally.all_fallbacks.items())),
                "first": {str(why): n for why, n in sorted(run.tally.first.items())},
                "approved_within": {
                    str(seconds): round(run.tally.within(seconds), _DIGITS) for seconds in _WITHIN
                },
                "countries": {
                    country: {
                        "figures": _rounded(figures(groups)),
                        "fallbacks": dict(sorted(run.tally.fallbacks.get(country, {}).items())),
                    }
                    for country, groups in sorted(run.tally.countries.items())
                },
            }
            for run in runs
        ],
    }
    if len(runs) > 1:
        before, after = (run.tally for run in runs)
        document["differences"] = _rounded(differences(before.groups, after.groups))
        document["differences_by_country"] = {
            country: _rounded(differences(groups, after.countries[country]))
            for country, groups in sorted(before.countries.items())
        }
    print_json(document)


def _rounded(found: "Mapping[str, Figure]") -> dict[str, dict[str, float]]:
    return {
        name: {side: round(value, _DIGITS) for side, value in asdict(figure).items()}
        for name, figure in found.items()
    }


def _write_svg(path: Path, runs: Sequence[_Run]) -> None:
    from service.cli.curve import draw

    curves = {
        run.name: [(second, run.tally.within(second)) for second in range(0, 121, 2)]
        for run in runs
    }
    try:
        path.write_text(draw("Approved within so many seconds", curves), encoding="utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
