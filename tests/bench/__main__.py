"""``make bench``: what the service can do here, as ratios within one run.

Load, sink, service and Valkey share this machine's cores, so absolute figures say little beyond it; what is
measured beside them in the same run does.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from service.cli import embedded
from service.cli.bench.people import at_rate
from service.telemetry import configure_logging
from tests.bench import durability, logins, memory, million, reports, statistics, trail
from tests.bench.rig import rig


def _quantile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)] * 1000


async def at_default_cost() -> None:
    raw = logins.raw_hashes("owasp") / 2
    async with rig("owasp") as running:
        # More than the pool takes would be turned away.
        load = await logins.Logins(running).whole(at_once=12)
    both = load.took
    print(f"logins/s at the default argon2 cost | {load.rate:.1f}")
    print(f"of what argon2 alone allows | {load.rate / raw:.2f}")
    print(f"a login, p50 and p99, ms | {_quantile(both, 0.5):.0f}, {_quantile(both, 0.99):.0f}")


async def at_lowest_cost() -> None:
    async with rig("minimum") as running:
        print(f"start-up to ready, s | {running.ready_after:.2f}")
        print(f"memory of the process then, MiB | {running.memory('service'):.0f}")
        people = logins.Logins(running)
        load, starts, verifies = (
            await people.whole(),
            await people.starts(),
            await people.verifies(),
        )
        least = await logins.bare(running)
        live, over = await memory.bytes_each(running)
    start, verify = starts.took, verifies.took
    print(f"logins/s at the lowest argon2 cost | {load.rate:.0f}")
    print(f"a start, p50 and p99, ms | {_quantile(start, 0.5):.1f}, {_quantile(start, 0.99):.1f}")
    print(
        f"a verify, p50 and p99, ms | {_quantile(verify, 0.5):.1f}, {_quantile(verify, 0.99):.1f}"
    )
    for part, seconds in load.cpu.items():
        print(f"CPU of the {part} for a login, ms | {seconds * 1000:.2f}")
    print(f"a bare route with one EVALSHA, requests/s | {least:.0f}")
    print(f"starts/s, of the bare route's | {starts.rate / least:.2f}")
    print(f"verifies/s, of the bare route's | {verifies.rate / least:.2f}")
    print(f"bytes of a live verification, of one that is over | {live:.0f}, {over:.0f}")


async def of_reports() -> None:
    async with rig("minimum") as running:
        people = logins.Logins(running)
        found, least = await reports.rate(running, people)
        idle = await reports.fallbacks(running, people)
        peak = await people.whole()
        background = asyncio.ensure_future(at_rate(people.people.log_in, 0.8 * peak.rate, 12))
        await asyncio.sleep(1)
        busy = await reports.fallbacks(running, logins.Logins(running, seed=1))
        await background
    print(f"webhooks/s | {found:.0f}")
    print(f"of what a signature and one script allow | {found / least:.2f}")
    for name, took in (("idle", idle), ("at 80 % load", busy)):
        p50, p99 = _quantile(took, 0.5), _quantile(took, 0.99)
        print(
            f"from a failed report to the next message, {name}, p50 and p99, ms | {p50:.1f}, {p99:.1f}"
        )


async def of_overload() -> None:
    async with rig("minimum") as running:
        people = logins.Logins(running)
        peak = await people.whole()
        twice = await at_rate(people.people.log_in, 2 * peak.rate, 8)
    starts = twice.took["start"]
    print(f"logins/s at twice the capacity, of the peak | {twice.rate / peak.rate:.2f}")
    p50, p99 = _quantile(starts, 0.5), _quantile(starts, 0.99)
    print(f"a start that is let in then, p50 and p99, ms | {p50:.0f}, {p99:.0f}")
    print(f"turned away then, of all | {sum(twice.ends.values()) / twice.began:.2f}")


async def of_a_million() -> None:
    async with rig("minimum") as running:
        share, memory = await million.ratio(running, logins.Logins(running))
    print(f"starts/s beside a million live verifications, of those without | {share:.2f}")
    print(f"what Redis holds then, GiB | {memory:.2f}")


async def of_statistics() -> None:
    with TemporaryDirectory() as folder:
        server = embedded.start(Path(folder), password="bench")
        server.wait_ready()
        try:
            took, counters, sums = await statistics.measure(server.url)
        finally:
            server.stop()
    print(f"statistics of a million verifications of 24 hours, ms | {took:.0f}")
    print(f"their counters and sums, MiB | {counters:.1f}, {sums:.1f}")


async def of_durability() -> None:
    alone, copied = await durability.measure()
    print(f"a start's writes, p50, ms | {_quantile(alone, 0.5):.1f}")
    print(f"with durability = replica, of that | {sum(copied) / sum(alone):.2f}")


async def of_the_trail() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trail.ndjson"
        key = trail.write_export(path)
        seconds, peak = trail.measure(path, key)
        least = trail.read_and_hash(path)
    print(f"audit events verified, events/s | {trail.EVENTS / seconds:.0f}")
    print(f"of what reading and hashing alone allow | {least / seconds:.2f}")
    print(f"memory of verifying a million events, MiB | {peak:.0f}")


def main() -> None:
    configure_logging("ERROR")
    print("measured | figure\n--- | ---")
    for part in (
        *(at_default_cost, at_lowest_cost, of_reports, of_overload),
        *(of_a_million, of_durability, of_statistics, of_the_trail),
    ):
        asyncio.run(part())


if __name__ == "__main__":
    main()
