"""From the layout of the release before to this one's: behind logins, beside the old release, deaths."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app as command
from service.clock import SystemClock
from service.domain.keyring import Keyring, parse_keys
from service.flow.migrating import Migrating
from service.store import keys
from service.store.connection import Connection, StoreSetupError
from service.store.lookup import open_keyring
from service.store.migrations import pseudonyms
from service.store.scripts import Scripts
from service.store.setup import LAYOUT, LAYOUTS, check_setup
from service.telemetry import Metrics
from tests.harness import PATIENCE, eventually
from tests.upgrade.conftest import upgraded
from tests.upgrade.fixture import Before, load

Trail = dict[str, list[tuple[str, dict[str, Any]]]]
OLD_EVENT = '{"type":"attempt.rejected","at":1,"actor":"x","recipient":"%s"}'


@pytest.fixture
async def before(redis: Redis) -> Before:
    return await load(redis)


@pytest.fixture
async def connection(before: Before, valkey: str) -> AsyncIterator[Connection]:
    """As of a process of this release that has just started."""
    connection = await Connection.open(valkey)
    await check_setup(connection)
    await open_keyring(connection, Keyring(parse_keys(before.keys)), SystemClock().now())
    yield connection
    await connection.close()


@pytest.fixture
def migrating(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Migrating:
    """In batches of a few events, so that there are many."""
    monkeypatch.setattr(pseudonyms, "BATCH", 3)
    return Migrating(connection, Scripts(connection), SystemClock(), Metrics())


async def _trail(redis: Any) -> Trail:
    return {
        key: [(id_, json.loads(fields["event"])) for id_, fields in await redis.xrange(key)]
        for key in sorted([key async for key in redis.scan_iter("cs:*:audit")])
    }


async def _ties(redis: Any) -> dict[str, str]:
    names = [key async for key in redis.scan_iter("cs:*:s:*")]
    return {key.rpartition(":")[2]: await redis.get(key) for key in names}


def _under(ties: Mapping[str, str], trail: Trail) -> Trail:
    """The trail as it should be, with each look-up id replaced."""

    def event(event: dict[str, Any]) -> dict[str, Any]:
        who = event.get("recipient")
        return event | {"recipient": ties[who]} if who else event

    return {key: [(id_, event(e)) for id_, e in events] for key, events in trail.items()}


async def _end(redis: Redis, migrating: Migrating) -> Trail:
    """Ends the upgrade; gives the trail without what the end itself recorded."""
    await migrating.store.close()
    assert await migrating()
    trail = await _trail(redis)
    assert trail["cs:{00}:audit"].pop()[1]["type"] == "store.migrated"
    return {key: events for key, events in trail.items() if events}


async def test_each_event_stays_where_it_is_under_a_pseudonym(
    redis: Redis, migrating: Migrating
) -> None:
    trail = await _trail(redis)
    after = await _end(redis, migrating)
    ties = await _ties(redis)
    assert after == _under(ties, trail)
    assert not ties.keys() & set(ties.values())
    assert len(set(ties.values())) == len(ties) > 5
    assert await redis.hget("cs:meta", "layout") == str(LAYOUT)
    assert not [name for name in await redis.hkeys("cs:meta") if "pseudonyms" in str(name)]


async def test_it_may_die_after_any_batch(
    redis: Redis, connection: Connection, migrating: Migrating
) -> None:
    """Each run ends after its first batch: what one leaves, the next goes on with."""
    trail, scripts, batches = await _trail(redis), Scripts(connection), Counter[str]()
    while True:
        running = pseudonyms.run(connection, scripts)
        changed = await anext(running, None)
        await running.aclose()
        if changed is None:
            break
        batches["moved" if await redis.keys("*:audit:moved") else "between"] += 1
    assert batches["moved"] > 5
    assert batches["between"] > 5
    assert await _end(redis, migrating) == _under(await _ties(redis), trail)


async def test_what_the_old_release_reads_stays_until_the_end(
    redis: Redis, migrating: Migrating
) -> None:
    async def read() -> dict[str, Any]:
        found = {}
        async for key in redis.scan_iter():
            if not key.endswith("audit") and ":s:" not in key and ":lease" not in key:
                found[key] = await redis.dump(key)
        return {key: value for key, value in found.items() if key != "cs:meta"}

    stored = await read()
    assert not await migrating()
    assert await read() == stored
    assert await redis.hmget("cs:meta", "layout", "partitions") == ["1", "64"]


async def test_what_an_old_process_writes_meanwhile_is_brought_along(
    redis: Redis, migrating: Migrating
) -> None:
    assert not await migrating()
    person = next(iter(await _ties(redis)))
    audit = f"{keys.prefix(keys.partition_of(person))}audit"
    await redis.xadd(audit, {"event": OLD_EVENT % person})
    trail = await _end(redis, migrating)
    assert trail[audit][-1][1]["recipient"] == (await _ties(redis))[person]


async def test_it_ends_once(redis: Redis, connection: Connection, migrating: Migrating) -> None:
    """Also if a worker dies between the record of the end and the last mark of it."""
    other = Migrating(connection, Scripts(connection), SystemClock(), Metrics())
    await migrating.store.close()
    assert await migrating()
    await redis.delete(keys.MIGRATION_LEASE)
    await redis.hset("cs:meta", "closing", "1")
    assert await other()
    assert [e["type"] for _, e in (await _trail(redis))["cs:{00}:audit"]] == ["store.migrated"]


async def test_one_process_at_a_time(connection: Connection, migrating: Migrating) -> None:
    other = Migrating(connection, Scripts(connection), SystemClock(), Metrics())
    await migrating.store.close()
    assert await other.store.lead.take()
    assert not await migrating()


async def test_logins_run_through_it_and_nothing_is_sealed_before_its_end(
    redis: Redis, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pseudonyms, "BATCH", 2)
    async with upgraded(redis, valkey, hash={"profile": "minimum"}, limits={"prefix": []}) as now:

        async def log_in(number: str) -> bool:
            started = await now.app.start(number)
            (code,) = await now.app.codes(number)
            return bool((await now.app.verify(started["id"], code)).json()["approved"])

        async def unsealed() -> bool:
            events = (await now.app.api.get("/v1/audit/events?limit=500")).json()["events"]
            return any(not event["sealed"] for event in events)

        numbers = [f"+120255520{n:02d}" for n in range(30)]
        first = [asyncio.create_task(log_in(number)) for number in numbers[:15]]
        assert await asyncio.gather(*first) == [True] * 15
        assert await now.app.service.sealing() == 0
        assert await redis.keys("*:chain") == []
        await now.app.service.migrating.store.close()
        second = [asyncio.create_task(log_in(number)) for number in numbers[15:]]
        await eventually(now.app.service.migrating)
        assert await asyncio.gather(*second) == [True] * 15

        async def sealed() -> bool:
            await now.app.service.sealing()
            return not await unsealed()

        await eventually(sealed)
        ties = await _ties(redis)
        for events in (await _trail(redis)).values():
            assert {e["recipient"] for _, e in events if e.get("recipient")} <= set(ties.values())


# --- who may start on what -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (LAYOUT + 1, "a newer release has upgraded it; run that one, or go back to the copy"),
        (LAYOUTS[0] - 1, "upgrade release by release, first to one that works with 0 and 1"),
    ],
)
async def test_a_layout_that_is_not_known_is_refused_with_what_to_do(
    redis: Redis, connection: Connection, layout: int, said: str
) -> None:
    await redis.hset("cs:meta", "layout", str(layout))
    with pytest.raises(StoreSetupError, match=f"layout {layout}.*{said}"):
        await check_setup(connection)


async def test_new_data_has_nothing_to_migrate(redis: Redis, valkey: str) -> None:
    connection = await Connection.open(valkey)
    await check_setup(connection)
    assert await Migrating(connection, Scripts(connection), SystemClock(), Metrics())()
    await connection.close()
    assert await redis.keys("*") == ["cs:meta"]


async def test_a_process_that_is_alone_ends_it_as_it_starts(redis: Redis, valkey: str) -> None:
    async with upgraded(redis, valkey, upgrades="at_once") as now:
        await eventually(now.app.service.migrating.store.is_done)
        answer = await now.verify("live", *now.before.codes("live"))
        assert answer["approved"]


# --- the command ---------------------------------------------------------------------------


class Operator:
    """A person at a terminal."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    async def __call__(self, *words: str, typed: str = "") -> Result:
        run = partial(CliRunner().invoke, command, list(words), input=typed, env=self._env)
        return await asyncio.to_thread(run)


@pytest.fixture
def operator(before: Before, valkey: str) -> Operator:
    return Operator({"REDIS_URL": valkey, "COUNTERSIGN_KEYS": before.keys})


def _json(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout))


async def test_the_command_ends_it_once_it_is_told_that_no_old_process_runs(
    connection: Connection, operator: Operator
) -> None:
    assert (
        "Once no process of an older release runs" in (await operator("migrate", "status")).stdout
    )
    refused = await operator("migrate", "run", typed="n\n")
    assert (refused.exit_code, _json(await operator("migrate", "status", "--json"))["layout"]) == (
        1,
        1,
    )
    assert "Nothing is left" in (await operator("migrate", "run", typed="y\n")).stdout
    assert _json(await operator("migrate", "status", "--json"))["done"]
    assert "Nothing is left" in (await operator("migrate", "run")).stdout


async def test_it_waits_for_a_process_of_this_release(before: Before, operator: Operator) -> None:
    """Only one with the master keys can keep the look-up key, which nothing else has."""
    refused = await operator("migrate", "run", "--yes")
    assert (refused.exit_code, "start one first" in refused.stderr) == (1, True)


async def test_nobody_is_erased_and_no_key_moves_while_it_is_open(
    connection: Connection, before: Before, operator: Operator
) -> None:
    erase = "audit", "erase", "--recipient", before.number("erased")
    for words in (erase, ("keyring", "add"), ("keyring", "retire", "0" * 8)):
        refused = await operator(*words)
        assert (refused.exit_code, "countersign migrate run" in refused.stderr) == (1, True), words
    assert (await operator("migrate", "run", "--yes")).exit_code == 0
    assert "Nothing leads" in (await operator(*erase)).stdout


@pytest.mark.timeout(120)
async def test_killed_in_the_middle_it_goes_on(
    redis: Redis, connection: Connection, before: Before, valkey: str
) -> None:
    """``kill -9`` of the command while it copies a trail of 20,000 events."""
    person = "ab" * 16
    audit = f"{keys.prefix(keys.partition_of(person))}audit"
    pipe = redis.pipeline()
    for _ in range(20_000):
        pipe.xadd(audit, {"event": OLD_EVENT % person})
    await pipe.execute()
    trail = await _trail(redis)
    env = {**os.environ, "REDIS_URL": valkey, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = [sys.executable, "-m", "service", "migrate", "run", "--yes"]
    killed = subprocess.Popen(  # noqa: ASYNC220
        run, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )

    async def in_the_middle() -> bool:
        assert killed.poll() is None, killed.communicate()
        return bool(await redis.exists(f"{audit}:moved"))

    try:
        await eventually(in_the_middle, 4 * PATIENCE)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    assert 0 < await redis.xlen(f"{audit}:moved") < 20_000
    assert await redis.xlen(audit) == 20_000
    assert await redis.hmget("cs:meta", "layout", "closing") == ["2", "1"]
    await redis.delete(keys.MIGRATION_LEASE)  # Its ten seconds are over.
    assert await Migrating(connection, Scripts(connection), SystemClock(), Metrics())()
    after = await _trail(redis)
    after["cs:{00}:audit"].pop()
    assert {key: found for key, found in after.items() if found} == _under(
        await _ties(redis), trail
    )
