"""``make bench``: what the service can do here, as ratios within one run.

Load, sink, service and Valkey share this machine's cores, so absolute figures say little beyond it; what is
measured beside them in the same run does. Names of parts measure those alone; ``--write`` puts the table into
the README.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from service.cli import embedded
from service.cli.bench.people import at_rate
from service.telemetry import configure_logging
from tests.bench import (
    durability,
    logins,
    memory,
    million,
    reports,
    statistics,
    table,
    trail,
    trips,
)
from tests.bench.rig import Rig, rig
from tests.bench.table import Row, quantiles

_FEW = 12
"""At once at the default cost: more than the hash pool takes would be turned away."""
_MANY = 96
"""So many that each of two processes has enough to do, however their connections fall."""

Rows = AsyncIterator[Row]


async def default_cost() -> Rows:
    before = logins.raw_hashes("owasp")
    async with rig("owasp") as running:
        people = logins.Logins(running)
        load = await people.whole(at_once=_FEW)
        # Before and after it, for what a machine can do changes from one moment to the next.
        raw = (before + logins.raw_hashes("owasp")) / 2
        starts, verifies = await people.starts(at_once=_FEW), await people.verifies(at_once=_FEW)
    yield Row("logins/s at the default argon2 cost", f"{load.rate:.1f}")
    yield Row("of what argon2 alone allows", f"{load.rate / (raw / 2):.2f}", "0.90")
    yield Row("starts/s, verifies/s then", f"{starts.rate:.1f}, {verifies.rate:.1f}")
    yield Row(f"a start with {_FEW} at once, p50 and p99, ms", quantiles(starts.took))
    yield Row("a verify, p50 and p99, ms", quantiles(verifies.took))
    yield Row("CPU of the service for a login, ms", f"{load.cpu['service'] * 1000:.1f}")


async def lowest_cost() -> Rows:
    async with rig("minimum") as running:
        yield Row("start-up of a process to ready, s", f"{running.ready_after:.2f}")
        yield Row("memory of it then, MiB", f"{running.memory('service'):.0f}")
        people = logins.Logins(running)
        load, starts, verifies = (
            await people.whole(),
            await people.starts(),
            await people.verifies(),
        )
        least = await logins.bare(running)
        live, over = await memory.bytes_each(running)
    yield Row("logins/s at the lowest argon2 cost, one process", f"{load.rate:.0f}", "1,000")
    yield Row("a start with 32 at once, p50 and p99, ms", quantiles(starts.took))
    yield Row("a verify, p50 and p99, ms", quantiles(verifies.took))
    cpu = ", ".join(f"{seconds * 1000:.2f}" for seconds in load.cpu.values())
    yield Row(f"CPU of {' and '.join(load.cpu)} for a login, ms", cpu)
    yield Row("a bare Litestar route with one EVALSHA, requests/s", f"{least:.0f}")
    yield Row("starts/s, and of the bare route's", _share(starts.rate, least), "0.35")
    yield Row("verifies/s, and of the bare route's", _share(verifies.rate, least), "0.50")
    async with rig("minimum", processes=2) as running:
        both = await logins.Logins(running).whole(at_once=_MANY)
    yield Row("logins/s of two processes", f"{both.rate:.0f}")
    yield Row("bytes in Redis of a live verification", f"{live:.0f}", "1,024")
    yield Row("of one that is over", f"{over:.0f}")


def _share(rate: float, least: float) -> str:
    return f"{rate:.0f}, {rate / least:.2f}"


async def round_trips() -> Rows:
    start, verify = await trips.count()
    yield Row("round trips to Redis of a start", f"{start}", "3")
    yield Row("of a verify, one of them after its answer", f"{verify}", "2 until the answer")


async def webhooks() -> Rows:
    async with rig("minimum") as running:
        people = logins.Logins(running)
        found, least = await reports.rate(running, people)
        idle = await reports.fallbacks(running, people)
        peak = await people.whole()
        busy = await _fallbacks_at(running, 0.8 * peak.rate)
    async with rig("minimum", processes=2) as running:
        shared = await _fallbacks_at(running, 0.8 * peak.rate)
    yield Row("webhooks/s", f"{found:.0f}")
    yield Row("of what a signature and one script allow", f"{found / least:.2f}")
    for name, took in (
        ("idle", idle),
        ("at 80 % load of one process", busy),
        ("at as many logins/s with two", shared),
    ):
        what = f"from a failed report to the next message, {name}, p50 and p99, ms"
        yield Row(what, quantiles(took), "p99 50")


async def _fallbacks_at(running: Rig, rate: float) -> list[float]:
    people = logins.Logins(running)
    background = asyncio.ensure_future(at_rate(people.people.log_in, rate, 12))
    await asyncio.sleep(1)
    took = await reports.fallbacks(running, logins.Logins(running, seed=1))
    await background
    return took


async def overload() -> Rows:
    async with rig("minimum") as running:
        people = logins.Logins(running)
        peak = await people.whole()
        twice = await at_rate(people.people.log_in, 2 * peak.rate, 8)
    share, turned = twice.rate / peak.rate, sum(twice.ends.values()) / twice.began
    yield Row("logins/s at twice the capacity, of the peak", f"{share:.2f}", "0.90")
    yield Row("a start that is let in then, p50 and p99, ms", quantiles(twice.took["start"]))
    yield Row("turned away then, of all", f"{turned:.2f}")


async def a_million() -> Rows:
    async with rig("minimum") as running:
        share, held = await million.ratio(running, logins.Logins(running))
    what = "starts/s beside a million live verifications, of those without"
    yield Row(what, f"{share:.2f}", "0.95")
    yield Row("what Redis holds then, GiB", f"{held:.2f}")


async def replicas() -> Rows:
    alone, copied = await durability.measure()
    yield Row("a start's writes, p50 and p99, ms", quantiles(alone))
    yield Row("with durability = replica, of that", f"{sum(copied) / sum(alone):.2f}")


async def statistics_of_a_day() -> Rows:
    with TemporaryDirectory() as folder:
        server = embedded.start(Path(folder), password="bench")
        server.wait_ready()
        try:
            took, counters, sums = await statistics.measure(server.url)
        finally:
            server.stop()
    yield Row("statistics of a million verifications of 24 hours, ms", f"{took:.0f}")
    yield Row("their counters and sums, MiB", f"{counters:.1f}, {sums:.1f}")


async def audit_trail() -> Rows:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trail.ndjson"
        key = trail.write_export(path)
        seconds, peak = trail.measure(path, key)
        least = trail.read_and_hash(path)
    yield Row("audit events verified, events/s", f"{trail.EVENTS / seconds:.0f}")
    yield Row("of what reading and hashing alone allow", f"{least / seconds:.2f}")
    yield Row("memory of verifying a million events, MiB", f"{peak:.0f}")


PARTS = {
    part.__name__: part
    for part in (
        *(default_cost, lowest_cost, round_trips, webhooks, overload, a_million, replicas),
        *(statistics_of_a_day, audit_trail),
    )
}


async def _measure(names: list[str]) -> list[Row]:
    print(table.HEAD)
    rows = []
    for name in names:
        async for row in PARTS[name]():
            print(row, flush=True)
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure this machine.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - PARTS.keys():
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    if asked.write and asked.parts:
        parser.error("--write takes the whole table")
    configure_logging("ERROR")
    rows = uvloop.run(_measure(asked.parts or list(PARTS)))
    if asked.write:
        table.write(rows)


if __name__ == "__main__":
    main()
