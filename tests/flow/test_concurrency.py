"""Invariants under parallel calls, over HTTP."""

import asyncio
from collections import Counter

from redis.asyncio import Redis

from tests.harness import World, eventually, world

PHONE = "+12025550123"


def _wrong(code: str, count: int) -> list[str]:
    return [f"{n:06d}" for n in range(count + 1) if f"{n:06d}" != code][:count]


async def test_120_parallel_wrong_guesses_are_compared_5_times(app: World) -> None:
    started = await app.start(PHONE)
    (code,) = await app.codes(PHONE)
    answers = await asyncio.gather(
        *(app.verify(started["id"], guess) for guess in _wrong(code, 120))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 5, 409: 115}
    assert not any(a.json().get("approved") for a in answers)
    assert (await app.get(started["id"]))["status"] == "locked"
    assert (await app.verify(started["id"], code)).status_code == 409


async def test_60_parallel_right_codes_approve_once(redis: Redis, valkey: str) -> None:
    async with world(valkey, codes={"attempts": 10}) as app:
        started = await app.start(PHONE)
        (code,) = await app.codes(PHONE)
        answers = await asyncio.gather(*(app.verify(started["id"], code) for _ in range(60)))
        approved = [a for a in answers if a.status_code == 200 and a.json()["approved"]]
        assert len(approved) == 1
        assert {a.status_code for a in answers} <= {200, 409}


async def test_40_parallel_starts_under_one_key_send_one_message(app: World) -> None:
    headers = {"idempotency-key": "one"}
    answers = await asyncio.gather(
        *(app.api.post("/v1/verifications", json={"to": PHONE}, headers=headers) for _ in range(40))
    )
    codes = Counter(answer.status_code for answer in answers)
    assert codes.keys() <= {201, 409}
    assert codes[201] >= 1
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1
    assert len(await app.messages(PHONE)) == 1


async def test_another_body_under_the_key_is_a_mismatch(app: World) -> None:
    headers = {"idempotency-key": "one"}
    await app.api.post("/v1/verifications", json={"to": PHONE}, headers=headers)
    other = await app.api.post(
        "/v1/verifications", json={"to": PHONE, "purpose": "pay"}, headers=headers
    )
    assert other.status_code == 422
    assert other.json()["type"].endswith("idempotency-mismatch")


async def test_a_second_start_cancels_the_first(app: World) -> None:
    first = await app.start(PHONE)
    (code,) = await app.codes(PHONE)
    second = await app.start(PHONE)
    assert (await app.get(first["id"]))["status"] == "canceled"
    assert (await app.verify(first["id"], code)).status_code == 409
    _, newer = await app.codes(PHONE, 2)
    assert (await app.verify(second["id"], newer)).json()["approved"]


async def test_a_resend_waits_its_time_and_goes_through_the_next_sender(
    redis: Redis, valkey: str
) -> None:
    async with world(valkey, codes={"resend_after": 0.3}) as app:
        started = await app.start(PHONE)
        path = f"/v1/verifications/{started['id']}/resend"
        early = await app.api.post(path)
        assert early.status_code == 429
        assert early.json()["type"].endswith("resend-too-soon")
        assert early.headers["retry-after"] == "1"

        async def resend() -> int:
            return (await app.api.post(path)).status_code

        async def allowed() -> bool:
            return await resend() == 200

        for _ in range(3):
            await eventually(allowed)
        v = await app.get(started["id"])
        steps = [(d["sender"], d["reason"]) for d in v["deliveries"]]
        assert steps == [
            ("short", "initial"),
            ("long", "resend"),
            ("pool", "resend"),
            ("short", "resend"),
        ]
        used_up = await app.api.post(path)
        assert (used_up.status_code, used_up.json()["limit"]) == (429, "max_deliveries")
