"""Statistics of real logins: each counts once, whoever counts, and whatever is lost in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import pytest
from redis.asyncio import Redis

from service.app import Role
from service.domain.errors import UnavailableError
from service.domain.stats import Counted
from service.domain.verification import Verification
from service.flow.statistics import Statistics
from service.store.connection import Connection
from service.store.lead import Lead
from service.store.scripts import Scripts
from service.store.stats import Change, StatsStore
from service.store.trail import TrailStore
from service.telemetry import Metrics
from tests.harness import World, world

NUMBERS = {
    "delivered": "+12025550001",
    "fallback": "+12025550100",
    "lied": "+12025550113",  # reported delivered, and nothing arrives
    "modest": "+12025550111",  # arrives, though reported failed
    "landline": "+12025550106",
}


@pytest.fixture
async def app(redis: Redis, valkey: str) -> AsyncIterator[World]:
    # Without a worker: a test says when is counted.
    async with world(valkey, role=Role.API, limits={"client_ip": []}) as running:
        yield running


@pytest.fixture
async def connection(valkey: str) -> AsyncIterator[Connection]:
    found = await Connection.open(valkey)
    yield found
    await found.close()


async def _login(app: World, number: str) -> str:
    started = await app.start(number)
    (code, *_) = await app.codes(number)
    assert (await app.verify(started["id"], code)).json()["approved"]
    return str(started["id"])


async def _some_traffic(app: World) -> None:
    ids = [await _login(app, NUMBERS[name]) for name in ("delivered", "fallback", "modest")]
    lied = await app.start(NUMBERS["lied"])
    landline = await app.start(NUMBERS["landline"])
    assert landline["status"] == "undeliverable"
    another = await app.start(NUMBERS["delivered"], purpose="other")
    for id_ in (*ids, lied["id"], another["id"]):
        await app.until(id_, lambda v: all(d["cost"] for d in v["deliveries"]))


async def _rows(app: World, **query: str) -> list[dict[str, Any]]:
    answer = await app.api.get("/v1/stats/deliveries", params={"window": "2h", **query})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


async def test_what_became_of_messages_and_verifications(app: World) -> None:
    await _some_traffic(app)
    assert await app.service.statistics() > 0
    assert await app.service.statistics() == 0
    rows = await _rows(app)
    assert {(row["country"], row["sender"]) for row in rows} == {("US", "short"), ("US", "long")}
    total = Counter[str]()
    for row in rows:
        total.update({k: n for k, n in row.items() if isinstance(n, int)})
    assert total["proven"] == 3
    assert total["failed_proven"] == 1
    assert total["delivered_unproven"] >= 1
    assert total["rejected"] == 1
    assert total["failed"] >= 2
    assert all(row["cost"][0]["currency"] == "USD" for row in rows)
    first = rows[0]
    assert 0 < first["seconds_to_approval"]["p50"] <= first["seconds_to_approval"]["p95"] < 60
    assert first["carrier"] is None
    (by_app,) = await _rows(app, group_by="app")
    assert (by_app["app"], by_app["sent"]) == ("default", total["sent"])
    hours = (await app.api.get("/v1/stats/verifications?window=2h")).json()["rows"]
    funnel = Counter[str]()  # of two hours, where one ended meanwhile
    for hour in hours:
        funnel.update({name: n for name, n in hour.items() if isinstance(n, int)})
        funnel["fallbacks"] += sum(hour["fallbacks"].values())
    assert (funnel["started"], funnel["approved"], funnel["undeliverable"]) == (6, 3, 1)
    assert (funnel["accepted"], funnel["fallbacks"]) == (5, total["sent"] - 5)


async def test_two_that_count_count_once(app: World, connection: Connection) -> None:
    await _some_traffic(app)
    scripts = Scripts(connection)

    class Pushy(Lead):
        async def take(self) -> bool:
            return True

    counters = []
    for _ in range(4):
        store = StatsStore(connection, scripts, app.settings.routing().senders)
        store.lead = Pushy(connection, "")
        counters.append(Statistics(store, Metrics()))
    await asyncio.gather(*(counting() for counting in counters))
    together = await _rows(app)
    await _forget(connection)
    await counters[0]()
    assert await _rows(app) == together


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_whoever_dies_counting_loses_and_doubles_nothing(
    app: World, connection: Connection, dies: str
) -> None:
    await _some_traffic(app)

    class Dying(StatsStore):
        async def count(self, changes: Any) -> bool:
            some: list[Change] = list(changes)[: len(changes) // 2]
            await super().count(some if dies == "before" else changes)
            raise UnavailableError("gone", 1)

    senders = app.settings.routing().senders
    dying = Statistics(Dying(connection, Scripts(connection), senders), Metrics())
    with pytest.raises(UnavailableError):
        await dying()
    await connection.command("DEL", "cs:{00}:st:lease")
    await app.service.statistics()
    counted = await _rows(app)
    await _forget(connection)
    await app.service.statistics()
    assert await _rows(app) == counted


async def test_a_long_trail_is_counted_in_steps_and_others_get_their_turn(
    app: World, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _some_traffic(app)
    at_once, turns = 0, 0

    class Watched(StatsStore):
        def load(self, id_: str, record: Mapping[str, str]) -> tuple[Verification, Counted | None]:
            nonlocal at_once
            at_once += 1
            assert at_once <= 2
            return super().load(id_, record)

    async def others() -> None:
        nonlocal at_once, turns
        while True:
            at_once, turns = 0, turns + 1
            await asyncio.sleep(0)

    monkeypatch.setattr("service.flow.statistics._LOGINS", 2)
    monkeypatch.setattr("service.flow.statistics._PAGE", 2)
    senders = app.settings.routing().senders
    counting = Statistics(Watched(connection, Scripts(connection), senders), Metrics())
    waiting = asyncio.create_task(others())
    counted = await counting()
    waiting.cancel()
    assert turns > counted / 2
    assert counted == await TrailStore(connection).count()
    assert await counting() == 0
    in_steps = await _rows(app)
    await _forget(connection)
    await connection.command("DEL", "cs:{00}:st:lease")
    monkeypatch.undo()
    assert await app.service.statistics() == counted
    assert await _rows(app) == in_steps


async def test_large_sums_are_made_anew_only_where_much_is_new(
    app: World, connection: Connection
) -> None:
    made = 0

    class Large(StatsStore):
        async def sum(self, hour: str, partitions: Iterable[int]) -> int:
            nonlocal made
            made += 1
            await super().sum(hour, partitions)
            return 1_000_000

    senders = app.settings.routing().senders
    counting = Statistics(Large(connection, Scripts(connection), senders), Metrics())
    await app.start(NUMBERS["landline"])
    await counting()
    hours = made
    assert hours >= 1
    await app.start(NUMBERS["landline"], purpose="other")
    found = [bool(await counting()) for _ in range(9)]
    assert (found[0], any(found[1:]), made) == (True, False, hours)
    await counting()
    assert made > hours
    for _ in range(20):
        await counting()
    assert made <= 2 * hours + 1  # nothing is new


async def _forget(connection: Connection) -> None:
    """As if nothing had been counted yet."""
    async for name in connection.scan("cs:*"):
        if ":st:" in name or ":sum:" in name:
            await connection.command("DEL", name)
        elif ":v:" in name:
            await connection.command("HDEL", name, "counted")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("window=0h", "window"),
        ("window=36d", "window"),
        ("window=soon", "window"),
        ("group_by=person", "group_by"),
        ("group_by=app,app", "group_by"),
    ],
)
async def test_a_faulty_question_is_told_so(app: World, query: str, names: str) -> None:
    answer = await app.api.get(f"/v1/stats/deliveries?{query}")
    assert answer.status_code == 422
    assert names in answer.text
