"""Idempotency-Key reservations."""

import asyncio

from service.store.reservations import Done, Mismatch, Reserved, Running
from tests.store.stores import NOW, Stores

DIGEST = "ab" * 16


async def test_one_of_many_parallel_requests_is_the_first(stores: Stores) -> None:
    found = await asyncio.gather(
        *(stores.reservations.reserve(DIGEST, "f", f"id{n}", NOW) for n in range(10))
    )
    assert sum(isinstance(item, Reserved) for item in found) == 1
    assert sum(isinstance(item, Running) for item in found) == 9


async def test_an_answered_request_is_replayed(stores: Stores) -> None:
    await stores.reservations.reserve(DIGEST, "f", "first", NOW)
    await stores.reservations.finish(DIGEST)
    assert await stores.reservations.reserve(DIGEST, "f", "second", NOW) == Done("first")


async def test_another_body_is_a_mismatch(stores: Stores) -> None:
    await stores.reservations.reserve(DIGEST, "f", "first", NOW)
    assert await stores.reservations.reserve(DIGEST, "g", "second", NOW) == Mismatch()


async def test_after_a_crash_a_retry_goes_on_under_the_same_id(stores: Stores) -> None:
    await stores.reservations.reserve(DIGEST, "f", "first", NOW)
    retried = await stores.reservations.reserve(DIGEST, "f", "second", NOW + 15_000)
    assert retried == Reserved("first")


async def test_a_refused_request_frees_its_key(stores: Stores) -> None:
    await stores.reservations.reserve(DIGEST, "f", "first", NOW)
    await stores.reservations.release(DIGEST)
    assert await stores.reservations.reserve(DIGEST, "g", "second", NOW) == Reserved("second")
