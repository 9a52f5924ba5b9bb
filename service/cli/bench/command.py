"""``countersign bench``."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.telnyx.calls import AsJson, fail

if TYPE_CHECKING:
    from service.cli.bench.people import Tally


def bench(
    url: Annotated[str, typer.Option(help="Of the service.")] = "http://127.0.0.1:8000",
    sandbox: Annotated[
        str, typer.Option(help="Of the sandbox that it sends through: codes are read there.")
    ] = "http://127.0.0.1:8025",
    key: Annotated[
        str, typer.Option(help="An API key.", envvar="COUNTERSIGN_API_KEY", show_default=False)
    ] = "",
    people: Annotated[
        int, typer.Option(help="So many at once, each again when it is done.", min=1, max=2000)
    ] = 16,
    rate: Annotated[
        float | None,
        typer.Option(help="Instead: so many logins a second, whoever is done or not.", min=0.1),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long.", min=0.5, max=3600)] = 10,
    as_json: AsJson = False,
) -> None:
    """Log in again and again, at a deployment that sends through the sandbox, and say how fast it was.

    Numbers are drawn at random. Limits hold for them too: `up` and production refuse what is too much of one
    prefix, and that is shown by its status (429, 403).
    """
    from service.cli.bench.people import People, at_once, at_rate, numbers, of_sandbox

    async def run() -> None:
        source = numbers(seed=None if rate is None else int(rate))
        crowd = People(url, key, of_sandbox(sandbox), source)
        try:
            async with crowd.connection() as client:
                await client.ask("GET", "/livez")
        except OSError as error:
            fail(f"{url} cannot be reached: {error.strerror or error}")
        if rate is None:
            tally = await at_once(crowd.log_in, people, seconds)
        else:
            tally = await at_rate(crowd.log_in, rate, seconds)
        crowd.close()
        _show(tally, as_json=as_json)

    if not key:
        fail("give an API key: --key, or COUNTERSIGN_API_KEY")
    asyncio.run(run())


def _show(tally: "Tally", *, as_json: bool) -> None:
    from service.cli.output import print_table

    found: dict[str, object] = {
        "logins_per_second": round(tally.rate, 1),
        "began": tally.began,
        "done": tally.done,
        "ended_early": dict(tally.ends),
    }
    for step, took in tally.took.items():
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            found[f"{step}_{name}_ms"] = round(quantile(took, share) * 1000, 1) if took else None
    if as_json:
        typer.echo(json.dumps(found))
    else:
        print_table(("measured", "figure"), [(k.replace("_", " "), v) for k, v in found.items()])


def quantile(values: list[float], share: float) -> float:
    """That ``share`` of the values do not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
