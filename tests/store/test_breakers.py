"""Breakers in the store: opened once however many fail at once, tried by one, closed by who passed them."""

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from service.domain.audit import of_breaker_release, of_breaker_trip
from service.domain.breaker import BreakerPolicy
from service.store.breakers import BreakerStore
from service.store.verifications import Tripped
from tests.store.stores import NOW, Stores

ROUTE = "range:00112233445566778899aabbccddeeff"
ABOUT = {"app": "shop", "country": "GB", "masked": "+44********01", "code": "40020"}
POLICY = BreakerPolicy(hold=1_000, longest_hold=3_000, probe_every=100)


@pytest.fixture
def breakers(stores: Stores) -> BreakerStore:
    return BreakerStore(stores.connection, stores.scripts)


async def _trip(breakers: BreakerStore, now: int) -> bool:
    event = of_breaker_trip(ROUTE, ABOUT, now)
    return await breakers.trip(ROUTE, POLICY, about=ABOUT, now=now, event=event)


async def _close(breakers: BreakerStore, since: int) -> bool:
    return await breakers.close(ROUTE, since, of_breaker_release(ROUTE, NOW, actor="countersign"))


async def test_many_failures_at_once_open_it_once(breakers: BreakerStore, redis: Redis) -> None:
    found = await asyncio.gather(*(_trip(breakers, NOW + n) for n in range(20)))
    assert found.count(True) == 1
    events: Any = await redis.xrange("cs:{00}:audit")
    (event,) = [json.loads(fields["event"]) for _, fields in events]
    assert event | {"type": "guard.tripped", "rule": "breaker", "strikes": 1, **ABOUT} == event
    (opened,) = await breakers.opened()
    assert (opened.route, opened.strikes, opened.code) == (ROUTE, 1, "40020")
    assert opened.until == event["until"]


async def test_no_message_of_any_partition_begins_while_it_is_open(
    breakers: BreakerStore, stores: Stores, redis: Redis
) -> None:
    await _trip(breakers, NOW)
    copies = [key async for key in redis.scan_iter("cs:{*}:breakers")]
    assert len(copies) == 64
    claim = await stores.created()
    assert await stores.begin(claim, routes=["profile:x", ROUTE]) == Tripped(ROUTE, NOW + 1_000)
    assert not (await stores.read(claim.verification.id)).deliveries
    assert await stores.begin(claim, routes=["profile:x"]) == "ok"


async def test_it_opens_for_longer_each_time_up_to_a_bound(breakers: BreakerStore) -> None:
    now, holds = NOW, []
    for _ in range(4):
        assert await _trip(breakers, now)
        (opened,) = await breakers.opened()
        holds.append(opened.until - now)
        now = opened.until
    assert holds == [1_000, 2_000, 3_000, 3_000]


async def test_one_of_many_tries(breakers: BreakerStore) -> None:
    await _trip(breakers, NOW)
    assert not await breakers.may_try(ROUTE, NOW + 999, POLICY.probe_every)
    for now in (NOW + 1_000, NOW + 1_100):
        found = await asyncio.gather(
            *(breakers.may_try(ROUTE, now, POLICY.probe_every) for _ in range(20))
        )
        assert found.count(True) == 1


async def test_who_tried_before_it_opened_anew_closes_nothing(breakers: BreakerStore) -> None:
    await _trip(breakers, NOW)
    await _trip(breakers, NOW + 2_000)
    assert not await _close(breakers, NOW + 1_500)
    assert await _close(breakers, NOW + 2_500)
    assert not await _close(breakers, NOW + 2_500)


async def test_a_copy_that_was_left_behind_lets_messages_through_and_goes(
    breakers: BreakerStore, redis: Redis
) -> None:
    """Whoever closed it died before all partitions knew."""
    await _trip(breakers, NOW)
    await redis.delete("cs:{00}:breakers:all")
    assert await breakers.may_try(ROUTE, NOW + 1_000, POLICY.probe_every)
    assert not [key async for key in redis.scan_iter("cs:{*}:breakers")]
