"""Deadlines, under a clock that the test moves."""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from redis.asyncio import Redis

from service.clock import ManualClock
from tests.harness import World, world

PHONE = "+12025550123"


def _later(instant: str, seconds: int) -> str:
    return (datetime.fromisoformat(instant) + timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)  # the sandbox signs with real time


@pytest.fixture
async def timed(redis: Redis, valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    async with world(valkey, clock=clock) as running:
        yield running


async def test_a_code_dies_at_its_expiry(timed: World, clock: ManualClock) -> None:
    started = await timed.start(PHONE, ttl=60)
    (code,) = await timed.codes(PHONE)
    clock.move(60_000)
    answer = await timed.verify(started["id"], code)
    assert (answer.status_code, answer.json()["status"]) == (409, "expired")
    await timed.until(started["id"], lambda v: v["status"] == "expired")


async def test_an_expired_verification_is_not_resent_or_canceled(
    timed: World, clock: ManualClock
) -> None:
    started = await timed.start(PHONE)
    clock.move(300_000)
    for call in ("resend", "cancel"):
        answer = await timed.api.post(f"/v1/verifications/{started['id']}/{call}")
        assert (answer.status_code, answer.json()["status"]) == (409, "expired")


async def test_a_resend_is_due_to_the_second(timed: World, clock: ManualClock) -> None:
    path = f"/v1/verifications/{(await timed.start(PHONE))['id']}/resend"
    clock.move(29_000)
    early = await timed.api.post(path)
    assert (early.status_code, early.headers["retry-after"]) == (429, "1")
    clock.move(1_000)
    resent = (await timed.api.post(path)).json()
    # The first delivery's report is due at the same second: a worker may have been faster.
    v = await timed.until(resent["id"], lambda v: len(v["deliveries"]) > 1)
    assert [d["reason"] for d in v["deliveries"]] == ["initial", "resend"]


async def test_silence_is_reconciled_and_then_passed_over(timed: World, clock: ManualClock) -> None:
    phone = "+12025550103"
    started = await timed.start(phone)
    await timed.codes(phone)
    assert len((await timed.get(started["id"]))["deliveries"]) == 1
    clock.move(31_000)
    v = await timed.until(started["id"], lambda v: len(v["deliveries"]) > 1)
    assert v["deliveries"][1]["reason"] == "report_timeout"


async def test_too_little_life_left_is_no_time_for_a_fallback(
    timed: World, clock: ManualClock
) -> None:
    phone = "+12025550103"
    started = await timed.start(phone, ttl=90)
    await timed.codes(phone)
    clock.move(31_000)  # 59 seconds are left, and 60 are asked for
    begun = started["deliveries"][0]["created_at"]
    await timed.until(  # the deadline has been looked at
        started["id"], lambda v: v["deliveries"][0]["updated_at"][:19] >= _later(begun, 31)[:19]
    )
    assert len((await timed.get(started["id"]))["deliveries"]) == 1
    clock.move(59_000)
    v = await timed.until(started["id"], lambda v: v["status"] == "expired")
    assert len(v["deliveries"]) == 1


async def test_a_limit_is_free_again_when_it_says(timed: World, clock: ManualClock) -> None:
    for _ in range(5):
        await timed.start(PHONE)
    refused = await timed.api.post("/v1/verifications", json={"to": PHONE})
    clock.move(int(refused.headers["retry-after"]) * 1_000)
    await timed.start(PHONE)
