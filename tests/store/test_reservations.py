"""Idempotency-Key reservations."""

import asyncio

from redis.asyncio import Redis

from service.domain.errors import NumberTypeNotAllowedError
from service.store.reservations import Done, Mismatch, Reserved, Running
from tests.store.stores import NOW, Stores

DIGEST = "ab" * 16


async def test_one_of_many_parallel_requests_is_the_first(stores: Stores) -> None:
    found = await asyncio.gather(
        *(stores.reservations.reserve(DIGEST, "f", f"id{n}", NOW) for n in range(10))
    )
    assert sum(isinstance(item, Reserved) for item in found) == 1
    assert sum(isinstance(item, Running) for item in found) == 9


async def _reserved(stores: Stores, now: int = NOW) -> Reserved:
    held = await stores.reservations.reserve(DIGEST, "f", "first", now)
    assert isinstance(held, Reserved)
    return held


async def test_an_answered_request_is_replayed(stores: Stores) -> None:
    await stores.reservations.finish(DIGEST, await _reserved(stores))
    assert await stores.reservations.reserve(DIGEST, "f", "second", NOW) == Done("first")


async def test_another_body_is_a_mismatch(stores: Stores) -> None:
    await _reserved(stores)
    assert await stores.reservations.reserve(DIGEST, "g", "second", NOW) == Mismatch()


async def test_after_a_crash_a_retry_goes_on_under_the_same_id(stores: Stores) -> None:
    await _reserved(stores)
    retried = await stores.reservations.reserve(DIGEST, "f", "second", NOW + 15_000)
    assert retried == Reserved("first", NOW + 30_000)


async def test_a_final_refusal_is_replayed(stores: Stores) -> None:
    refusal = NumberTypeNotAllowedError("No.", {"number_type": "premium"})
    await stores.reservations.refuse(DIGEST, await _reserved(stores), refusal)
    replayed = await stores.reservations.reserve(DIGEST, "f", "second", NOW)
    assert isinstance(replayed, NumberTypeNotAllowedError)
    assert (replayed.detail, replayed.members) == (refusal.detail, refusal.members)
    assert replayed.replayed


async def test_what_was_let_go_may_be_tried_again_at_once(stores: Stores) -> None:
    await stores.reservations.let_go(DIGEST, await _reserved(stores), NOW + 1)
    assert await stores.reservations.reserve(DIGEST, "g", "second", NOW + 1) == Mismatch()
    again = await stores.reservations.reserve(DIGEST, "f", "second", NOW + 1)
    assert again == Reserved("first", NOW + 15_001)


async def test_who_was_too_slow_changes_nothing_and_leaves_nothing(
    stores: Stores, redis: Redis
) -> None:
    slow = await _reserved(stores)
    following = await _reserved(stores, NOW + 15_000)
    await stores.reservations.let_go(DIGEST, slow, NOW + 15_001)
    running = await stores.reservations.reserve(DIGEST, "f", "third", NOW + 15_001)
    assert running == Running(14_999)
    await redis.flushall()
    await stores.reservations.finish(DIGEST, following)
    assert await redis.keys("*") == []
