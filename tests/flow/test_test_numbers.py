"""Test numbers of an app: a code that it fixed, and nothing sent, counted as sent or kept in plain text."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from service.store import keys
from service.store.keys import VerificationKeys
from service.store.records import read_base
from tests.harness import World, client, eventually, make_api_key, world

NUMBER, CODE, WRONG = "+12025550199", "739154", "739155"


@pytest.fixture
async def app(redis: Redis, valkey: str) -> AsyncIterator[World]:
    async with world(valkey) as running:
        yield running


async def _define(app: World, numbers: dict[str, str], tag: str | None = None) -> None:
    headers = {"if-match": tag} if tag else {}
    put = await app.api.put("/v1/apps/default", json={"test_numbers": numbers}, headers=headers)
    assert put.status_code in (200, 201), put.text
    assert CODE not in put.text
    assert NUMBER[1:] not in put.text


async def _events(app: World, id_: str) -> list[dict[str, Any]]:
    answer = await app.api.get("/v1/audit/events", params={"verification": id_})
    return list(answer.json()["events"])


async def test_the_fixed_code_is_right_and_nothing_is_sent(app: World) -> None:
    await _define(app, {NUMBER: CODE})
    v = await app.start(NUMBER)
    assert (v["status"], v["deliveries"], v["test"]) == ("pending", [], True)
    wrong = (await app.verify(v["id"], WRONG)).json()
    assert (wrong["approved"], wrong["attempts_remaining"]) == (False, 4)
    right = (await app.verify(v["id"], CODE)).json()
    assert (right["approved"], right["status"], right["test"]) == (True, "approved", True)
    assert right["delivery"] is None
    assert (await app.verify(v["id"], CODE)).status_code == 409
    assert await app.messages(NUMBER) == []


async def test_every_event_is_marked(app: World) -> None:
    await _define(app, {NUMBER: CODE})
    v = await app.start(NUMBER)
    again = await app.start(NUMBER)
    await app.verify(again["id"], WRONG)
    await app.verify(again["id"], CODE)
    events = await _events(app, v["id"]) + await _events(app, again["id"])
    assert [event["type"] for event in events] == [
        "verification.created",
        "verification.canceled",
        "verification.created",
        "attempt.counted",
        "attempt.rejected",
        "attempt.counted",
        "verification.approved",
    ]
    assert all(event["test"] is True for event in events)
    assert "delivery" not in events[-1]


async def test_neither_number_nor_code_stands_in_the_store(app: World, redis: Redis) -> None:
    await _define(app, {NUMBER: CODE})
    v = await app.start(NUMBER)
    await app.verify(v["id"], WRONG)
    readers: dict[str, Any] = {
        "hash": redis.hgetall, "string": redis.get, "stream": redis.xrange,
        "set": redis.smembers, "zset": lambda key: redis.zrange(key, 0, -1),
        "list": lambda key: redis.lrange(key, 0, -1),
    }  # fmt: skip
    found = [
        f"{name} {await readers[str(await redis.type(name))](name)}"
        async for name in redis.scan_iter()
    ]
    assert any("test_numbers" in text for text in found)
    assert not any(secret in text for text in found for secret in (NUMBER[1:], CODE, WRONG))


async def test_a_test_number_uses_up_no_limit_of_sends(app: World) -> None:
    await _define(app, {NUMBER: CODE})
    body = {"to": NUMBER, "client_ip": "192.0.2.7", "limit_keys": {"device": "d"}}
    for _ in range(25):  # more than any limit of the built-in configuration
        assert (await app.api.post("/v1/verifications", json=body)).status_code == 201
    answer = await app.api.post("/v1/verifications", json={**body, "to": "+12025550001"})
    assert answer.status_code == 201


async def test_wrong_codes_count_for_it_as_for_anybody(app: World) -> None:
    """The code is the same tomorrow: without the budget a stranger could try them all."""
    await _define(app, {NUMBER: CODE})
    for _ in range(2):
        v = await app.start(NUMBER)
        for _ in range(5):
            assert (await app.verify(v["id"], WRONG)).json()["approved"] is False
        assert (await app.get(v["id"]))["status"] == "locked"
    refused = await app.api.post("/v1/verifications", json={"to": NUMBER})
    assert (refused.status_code, refused.json()["limit"]) == (429, "wrong_codes")


async def test_resend_cancel_and_notices_send_nothing(redis: Redis, valkey: str) -> None:
    async with world(valkey, codes={"resend_after": 0}) as app:
        await _define(app, {NUMBER: CODE})
        v = await app.start(NUMBER)
        for _ in range(6):
            resent = await app.api.post(f"/v1/verifications/{v['id']}/resend")
            assert (resent.status_code, resent.json()["deliveries"]) == (200, [])
        canceled = await app.api.post(f"/v1/verifications/{v['id']}/cancel")
        assert canceled.json()["status"] == "canceled"
        notice = await app.api.post("/v1/notices", json={"to": NUMBER, "event": "new_sign_in"})
        assert (notice.status_code, notice.json()["deliveries"]) == (201, [])
        await app.service.tasks.drain(5)
        assert await app.messages(NUMBER) == []


async def test_nothing_of_it_is_in_the_statistics(app: World) -> None:
    await _define(app, {NUMBER: CODE})
    v = await app.start(NUMBER)
    await app.verify(v["id"], WRONG)
    await app.verify(v["id"], CODE)
    real = "+12025550001"
    normal = await app.start(real)
    (code,) = await app.codes(real)
    await app.verify(normal["id"], code)

    async def counted() -> list[dict[str, Any]]:
        await app.service.statistics()
        answer = await app.api.get("/v1/stats/verifications")
        rows = list(answer.json()["rows"])
        return rows if rows and rows[-1]["approved"] else []

    rows = await eventually(counted)
    assert sum(row["started"] for row in rows) == 1
    metrics = (await app.api.get("/metrics")).text
    (started,) = [
        line for line in metrics.splitlines() if line.startswith("countersign_starts_total{")
    ]
    assert started.endswith(" 1.0")


async def test_it_is_a_number_like_any_other_for_every_other_app(app: World, valkey: str) -> None:
    await _define(app, {NUMBER: CODE})
    plain = await make_api_key(valkey, "shop")
    async with client(str(app.api.base_url), plain) as api:
        shop = World(api, app.phone, app.service, app.settings)
        v = await shop.start(NUMBER)
        assert (len(v["deliveries"]), v.get("test")) == (1, None)
        assert (await shop.verify(v["id"], CODE)).json()["approved"] is False


async def test_a_sealed_code_is_good_for_its_number_alone(app: World, redis: Redis) -> None:
    """Who can write to Redis gives a victim's number no code that they know."""
    await _define(app, {NUMBER: CODE})
    victim = "+12025550002"
    first = await app.start(victim)
    record: Any = await redis.hgetall(VerificationKeys(first["id"]).record)
    victims_id = read_base(record)["recipient_id"]
    forged = json.loads(await redis.hget(keys.APPS, "default") or "")
    (kept,) = forged["test_numbers"].values()
    forged["test_numbers"][victims_id] = kept
    await redis.hset(keys.APPS, "default", json.dumps(forged))
    async with world(str(app.settings.redis_url.get_secret_value())) as fresh:  # with no cache
        v = await fresh.start(victim)
        assert (len(v["deliveries"]), v.get("test")) == (1, None)
        assert (await fresh.verify(v["id"], CODE)).json()["approved"] is False
        assert (await fresh.start(NUMBER))["test"] is True


async def test_a_definition_without_test_numbers_leaves_them(app: World) -> None:
    await _define(app, {NUMBER: CODE})
    for definition, left in (({"ttl": 60}, 1), ({"test_numbers": {}}, 0)):
        put = await app.api.put("/v1/apps/default", json=definition, headers={"if-match": "*"})
        assert len(put.json()["test_numbers"]) == left
    assert len((await app.start(NUMBER))["deliveries"]) == 1
