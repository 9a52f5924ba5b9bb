"""What people began under the release before goes on under this one. No test here ends the upgrade: all of it
holds while both releases may serve."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.harness import eventually
from tests.upgrade.conftest import Upgraded, upgraded


@pytest.fixture(scope="module")
async def now(valkey: str) -> AsyncIterator[Upgraded]:
    """One for all tests here: each has people of its own."""
    redis = Redis.from_url(valkey, decode_responses=True)
    await redis.flushall()
    async with redis, upgraded(redis, valkey) as found:
        yield found


async def test_a_code_that_was_sent_before_is_right(now: Upgraded) -> None:
    answer = await now.verify("live", *now.before.codes("live"))
    assert (answer["approved"], answer["delivery"]) == (True, 1)


async def test_a_late_first_code_of_a_fallback_is_right(now: Upgraded) -> None:
    first, second = now.before.codes("fallen_back")
    assert first != second
    answer = await now.verify("fallen_back", first)
    assert (answer["approved"], answer["delivery"]) == (True, 1)


async def test_attempts_that_were_used_stay_used(now: Upgraded) -> None:
    answer = await now.verify("guessed", "0000")
    assert (answer["approved"], answer["attempts_remaining"]) == (False, 2)


@pytest.mark.parametrize("name", ["approved", "canceled"])
async def test_what_had_ended_has_ended(now: Upgraded, name: str) -> None:
    answer = await now.app.verify(now.before.id(name), now.before.codes(name)[-1])
    assert (answer.status_code, answer.json()["status"]) == (409, name)


async def test_a_retry_of_a_start_from_before_gets_the_same_verification(now: Upgraded) -> None:
    body = {"to": now.before.number("keyed"), "client_ip": now.before.said["keyed"]["client_ip"]}
    headers = {"idempotency-key": "login-1"}
    answer = await now.api.post("/v1/verifications", json=body, headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (201, now.before.id("keyed"))
    assert len(await now.app.messages(now.before.number("keyed"))) == 0


async def test_a_limit_that_was_used_up_is_used_up(now: Upgraded) -> None:
    answer = await now.start("limited")
    assert (answer.status_code, answer.json()["limit"]) == (429, "recipient")


@pytest.mark.parametrize("name", ["put", "stopped"])
async def test_who_opted_out_gets_nothing(now: Upgraded, name: str) -> None:
    answer = await now.start(name)
    assert (answer.status_code, answer.json()["type"].split("/")[-1]) == (
        403,
        "recipient-opted-out",
    )
    assert (await now.api.get(f"/v1/opt-outs/{now.before.number(name)}")).status_code == 200


async def test_a_stop_ends_what_began_before(now: Upgraded) -> None:
    number, id_ = now.before.number("stopping"), now.before.id("stopping")
    assert (await now.app.get(id_))["status"] == "pending"
    await now.app.phone.post("/sandbox/inbound", json={"from": number, "text": "STOP"})
    await now.app.until(id_, lambda v: v["status"] == "undeliverable")


async def test_a_notice_is_read(now: Upgraded) -> None:
    answer = await now.api.get(f"/v1/notices/{now.before.id('noticed')}")
    assert answer.json()["status"] == "delivered"


async def test_messages_of_before_are_counted(now: Upgraded) -> None:
    async def counted() -> bool:
        answer = await now.api.get("/v1/stats/deliveries", params={"window": "24h"})
        return bool(sum(row["sent"] for row in answer.json()["rows"]) >= 10)

    await eventually(counted)
