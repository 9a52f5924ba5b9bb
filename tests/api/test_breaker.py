"""The breaker of a route that Telnyx closed: it opens, tries, closes by itself, and opens for longer."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from service.app import Role
from service.clock import ManualClock
from tests.harness import World, world

LIMITS: dict[str, list[str]] = {"recipient": [], "client_ip": [], "without_client_ip": []}
HOLD, PAUSE = 200_000, 30_000
RANGE, ELSEWHERE = "+44770090", "+44770091"
BRAND = "alphanumeric"  # the first of the plan; it has a messaging profile of its own
DELIVERED, SILENT = "0001", "0104"


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
async def _shared(valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    guard = {"breaker": {"hold": HOLD // 1000, "probe_every": PAUSE // 1000}}
    async with world(valkey, role=Role.API, clock=clock, limits=LIMITS, guard=guard) as running:
        yield running


@pytest.fixture
async def app(_shared: World, store: Redis, clock: ManualClock) -> World:
    # Telnyx's webhooks bear the true time, and are stale after 300 s.
    clock.move(time.time_ns() // 1_000_000 - clock.now())
    return _shared


async def _telnyx_says(app: World, outcome: str) -> None:
    body = {"kind": BRAND, "outcome": outcome}
    assert (await app.phone.post("/sandbox/scenarios", json=body)).status_code == 200


async def _errors(app: World, to: str) -> list[str]:
    """Start: the errors of an undeliverable verification with one delivery, or nothing."""
    started = await app.start(to)
    if started["status"] == "pending":
        return []
    (delivery,) = started["deliveries"]
    assert (started["status"], delivery["status"]) == ("undeliverable", "rejected")
    return [error["code"] for error in delivery["errors"]]


async def _changes(store: Redis) -> list[dict[str, Any]]:
    entries: Any = await store.xrange("cs:{00}:audit")
    events = [json.loads(fields["event"]) for _, fields in entries]
    return [event for event in events if event.get("rule") == "breaker"]


async def test_it_opens_for_the_range_and_closes_by_itself(
    app: World, store: Redis, clock: ManualClock
) -> None:
    await _telnyx_says(app, "40020")
    assert await _errors(app, f"{RANGE}0001") == ["40020"]
    await _telnyx_says(app, DELIVERED)
    before = len(await app.messages(f"{RANGE}0002"))
    assert await _errors(app, f"{RANGE}0002") == ["breaker"]
    assert len(await app.messages(f"{RANGE}0002")) == before
    assert await _errors(app, f"{ELSEWHERE}0002") == []
    clock.move(HOLD - 1)
    assert await _errors(app, f"{RANGE}0003") == ["breaker"]
    clock.move(1)
    tried = await app.start(f"{RANGE}0004")
    await app.until(tried["id"], lambda v: v["deliveries"][0]["status"] == "delivered")
    await app.service.tasks.drain(5)
    assert await _errors(app, f"{RANGE}0005") == []

    tripped, released = await _changes(store)
    assert (tripped["type"], released["type"]) == ("guard.tripped", "guard.released")
    assert (tripped["code"], tripped["strikes"], tripped["country"]) == ("40020", 1, "GB")
    assert tripped["until"] - tripped["at"] == HOLD
    assert tripped["key"] == released["key"]
    assert tripped["key"].startswith("breaker:range:")
    assert RANGE not in json.dumps([tripped, released])
    metrics = (await app.api.get("/metrics")).text
    for change in ("opened", "held", "tried", "closed"):
        assert f'countersign_breakers_total{{change="{change}"}}' in metrics


async def test_one_at_a_time_tries_and_a_failure_opens_it_for_longer(
    app: World, store: Redis, clock: ManualClock
) -> None:
    await _telnyx_says(app, "40020")
    assert await _errors(app, f"{RANGE}0001") == ["40020"]
    clock.move(HOLD)
    await _telnyx_says(app, SILENT)
    assert await _errors(app, f"{RANGE}0002") == []  # nothing is known of it yet
    assert await _errors(app, f"{RANGE}0003") == ["breaker"]
    clock.move(PAUSE)
    await _telnyx_says(app, "40020")
    assert await _errors(app, f"{RANGE}0004") == ["40020"]
    clock.move(2 * HOLD - 1)
    assert await _errors(app, f"{RANGE}0005") == ["breaker"]
    clock.move(1)
    await _telnyx_says(app, DELIVERED)
    assert await _errors(app, f"{RANGE}0006") == []
    assert [event["strikes"] for event in await _changes(store)][:2] == [1, 2]


async def test_a_code_that_was_typed_closes_it_too(
    app: World, store: Redis, clock: ManualClock
) -> None:
    await _telnyx_says(app, "40020")
    assert await _errors(app, f"{RANGE}0001") == ["40020"]
    clock.move(HOLD)
    await _telnyx_says(app, SILENT)
    to = f"{RANGE}0077"  # of this test alone, for the sandbox forgets nothing
    tried = await app.start(to)
    (code,) = await app.codes(to)
    assert (await app.verify(tried["id"], code)).json()["approved"]
    await app.service.tasks.drain(5)
    assert await _errors(app, f"{RANGE}0002") == []


async def test_the_spend_limit_of_a_profile_closes_it_for_all_numbers(
    app: World, store: Redis
) -> None:
    await _telnyx_says(app, "40333")
    assert await _errors(app, f"{RANGE}0001") == ["40333"]
    await _telnyx_says(app, DELIVERED)
    assert await _errors(app, f"{ELSEWHERE}0001") == ["breaker"]
    assert (await app.start("+12025550123"))["status"] == "pending"  # without that profile
    (tripped,) = await _changes(store)
    assert tripped["key"].startswith("breaker:profile:")
