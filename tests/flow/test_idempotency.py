"""Idempotency-Key over HTTP: replays, refusals, and a process that dies in mid-request."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.api.idempotency_key import read_idempotency_key
from service.clock import ManualClock
from service.domain.errors import InvalidRequestError, UnavailableError
from service.store.reservations import ReservationStore
from service.store.verifications import VerificationStore
from tests.harness import World, world

PHONE = "+12025550123"
START = "/v1/verifications"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture
async def app(redis: Redis, valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    async with world(valkey, clock=clock, retention=0) as running:
        yield running


async def _start(app: World, key: str = "one", **body: Any) -> httpx.Response:
    headers = {"idempotency-key": key}
    return await app.api.post(START, json={"to": PHONE, **body}, headers=headers)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        ('"a b"', "a b"),
        (r'"a\"b\\c"', r"a\"b\c".replace(r"\"", '"')),
        ('"abc";x=1', "abc"),
        ('"' + "k" * 255 + '"', "k" * 255),
    ],
)
def test_a_key_is_a_structured_field_string_or_bare(value: str, key: str) -> None:
    assert read_idempotency_key([value]) == key


@pytest.mark.parametrize(
    "value", ["", '""', '"abc', 'abc"', "a b", r'"a\b"', '"é"', "k" * 256, '"a", "b"', "a\\b"]
)
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_idempotency_key([value])


def test_several_keys_are_refused() -> None:
    assert read_idempotency_key([]) is None
    with pytest.raises(InvalidRequestError):
        read_idempotency_key(["a", "a"])


async def test_a_key_is_good_for_24_hours_whatever_the_retention(
    app: World, clock: ManualClock
) -> None:
    first = await _start(app)
    assert "idempotent-replayed" not in first.headers
    clock.move(24 * 3_600_000 - 1)
    second = await _start(app, '"one"')
    assert (second.status_code, second.headers["idempotent-replayed"]) == (201, "true")
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["status"] == "expired"
    assert len(await app.messages(PHONE)) == 1


async def test_a_record_outlives_its_key(app: World, redis: Redis) -> None:
    id_ = (await _start(app)).json()["id"]
    (reservation,) = await redis.keys("*}:i:*")
    (record,) = await redis.keys(f"*}}:v:{id_}")
    assert await redis.pttl(reservation) > 23 * 3_600_000
    assert await redis.pttl(record) >= await redis.pttl(reservation)


async def test_a_final_refusal_is_replayed_and_leaves_one_event(app: World, redis: Redis) -> None:
    await app.api.put(f"/v1/opt-outs/{PHONE}")
    first = await _start(app)
    await app.api.delete(f"/v1/opt-outs/{PHONE}")
    second = await _start(app)
    assert (first.status_code, second.status_code) == (403, 403)
    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert (await _start(app, "two")).status_code == 201


async def test_a_refusal_that_passes_is_not_replayed(app: World, clock: ManualClock) -> None:
    for _ in range(5):
        await app.start(PHONE)
    limited = await _start(app)
    assert limited.status_code == 429
    assert (await _start(app, purpose="pay")).json()["type"].endswith("idempotency-mismatch")
    clock.move(int(limited.headers["retry-after"]) * 1_000)
    assert (await _start(app)).status_code == 201


class Killed(Exception):  # noqa: N818 - no error of the service's: nothing handles it
    """The process is gone: nothing after this point was done."""


async def test_killed_between_reservation_and_create(
    app: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(VerificationStore, "create", die)
        assert (await _start(app)).status_code == 500
    assert (await _start(app)).json()["type"].endswith("idempotency-in-progress")
    clock.move(15_000)
    retried = await _start(app)
    assert retried.status_code == 201
    assert len(await app.messages(PHONE)) == 1
    assert (await _start(app)).json()["id"] == retried.json()["id"]


async def test_killed_between_create_and_finish(
    app: World, clock: ManualClock, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(ReservationStore, "finish", die)
        assert (await _start(app)).status_code == 500
    clock.move(15_000)
    retried = await _start(app)
    assert retried.status_code == 201
    assert len(await app.messages(PHONE)) == 1
    (log,) = [key async for key in redis.scan_iter("*:prefix")]
    assert await redis.zcard(log) == 1  # the retry counted with the first


async def test_after_a_503_the_same_request_may_come_at_once(
    app: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = VerificationStore.create

    async def answer_lost(*args: Any, **rest: Any) -> None:
        await create(*args, **rest)
        raise UnavailableError("lost", 1)

    with monkeypatch.context() as losing:
        losing.setattr(VerificationStore, "create", answer_lost)
        assert (await _start(app)).status_code == 503
    assert (await _start(app)).status_code == 201
    assert len(await app.messages(PHONE)) <= 1
