"""Caps in money over HTTP: what is refused, what it says, what it leaves behind, and how reports settle
it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.app import Role
from service.clock import ManualClock
from tests.harness import World, eventually, world

START = "/v1/verifications"
LIMITS: dict[str, list[str]] = {"recipient": [], "client_ip": [], "without_client_ip": []}
MONEY = {
    "default_price": 0.1,
    "apps": {"default": {"hour": 1.0}},
    "countries": {"SE": {"day": 0.1}, "NO": {"hour": 0.1}},
}
SILENT = "0104"


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
async def _capped(valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    async with world(valkey, role=Role.API, clock=clock, limits=LIMITS, money=MONEY) as running:
        yield running


@pytest.fixture
async def app(_capped: World, store: Redis, clock: ManualClock) -> World:
    # Telnyx's webhooks bear the true time, and are stale after 300 s.
    clock.move(time.time_ns() // 1_000_000 - clock.now())
    return _capped


async def _start(app: World, to: str) -> httpx.Response:
    return await app.api.post(START, json={"to": to})


async def _blocked(store: Redis) -> list[dict[str, Any]]:
    found = []
    async for key in store.scan_iter("*audit"):
        entries: Any = await store.xrange(key)
        found += [json.loads(fields["event"]) for _, fields in entries]
    return [event for event in found if event["type"] == "guard.blocked"]


async def _outcome(app: World, to: str, outcome: str) -> None:
    answer = await app.phone.post("/sandbox/scenarios", json={"to": to, "outcome": outcome})
    assert answer.status_code == 200


async def test_40_at_once_under_a_cap_for_10_are_10_messages(app: World, store: Redis) -> None:
    numbers = [f"+4477009001{n:02d}" for n in range(40)]
    for number in numbers:
        await _outcome(app, number, SILENT)
    answers = await asyncio.gather(*(_start(app, number) for number in numbers))
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [429] * 30
    assert sum([len(await app.messages(number)) for number in numbers]) == 10

    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["type"] == "/problems/rate-limited"
    assert refused.json()["limit"] == "spend_app"
    assert 3540 < int(refused.headers["retry-after"]) <= 3660
    events = await _blocked(store)
    figures = {"rule": "spend", "limit": "spend_app", "cap": "1", "price": "0.1", "window": 3600}
    assert len(events) == 30
    assert all(event | figures | {"currency": "USD"} == event for event in events)
    assert (
        'countersign_limited_total{limit="spend_app"} 30.0' in (await app.api.get("/metrics")).text
    )


async def test_the_retry_after_is_true(app: World, clock: ManualClock) -> None:
    await _outcome(app, "+4790000001", SILENT)
    assert (await _start(app, "+4790000001")).status_code == 201
    refused = await _start(app, "+4790000002")
    assert refused.json()["limit"] == "spend_country"
    wait = int(refused.headers["retry-after"]) * 1000
    clock.move(wait - 1_000)
    assert (await _start(app, "+4790000002")).status_code == 429
    clock.move(1_000)
    assert (await _start(app, "+4790000002")).status_code == 201


async def test_reports_say_what_it_cost_and_make_room(app: World, store: Redis) -> None:
    """At the default price ten messages would use up the cap."""
    for n in range(15):
        answer = await _start(app, f"+4477009002{n:02d}")
        assert answer.status_code == 201
        # A report that came later would teach the next test's store its price.
        await eventually(lambda: _prices(store))
        await app.until(answer.json()["id"], lambda v: v["deliveries"][0]["cost"])
        await app.service.tasks.drain(5)
    prices = [await store.get(key) for key in await _prices(store)]
    assert prices
    assert all(int(str(price)) < 50_000 for price in prices)


async def _prices(store: Redis) -> list[str]:
    return [key async for key in store.scan_iter("*:mp:*")]


async def test_a_fallback_that_a_cap_holds_back_is_not_sent(app: World, store: Redis) -> None:
    number = "+46701230101"  # the report says sending_failed, at no cost
    answer = await _start(app, number)
    assert answer.status_code == 201
    ended = await app.until(answer.json()["id"], lambda v: v["status"] != "pending")
    assert ended["status"] == "undeliverable"
    first, second = ended["deliveries"]
    assert first["status"] == "sending_failed"
    assert (second["status"], second["reason"]) == ("rejected", "delivery_failed")
    assert [error["code"] for error in second["errors"]] == ["spend_country"]
    assert len(await app.messages(number)) == 1
    (event,) = await _blocked(store)
    figures = {"rule": "spend", "limit": "spend_country", "cap": "0.1", "window": 86_400}
    assert event | figures | {"verification": ended["id"]} == event


async def test_a_resend_that_a_cap_holds_back_says_so(app: World, clock: ManualClock) -> None:
    number = "+46701240104"
    id_ = (await _start(app, number)).json()["id"]
    (code,) = await app.codes(number)
    clock.move(31_000)
    refused = await app.api.post(f"{START}/{id_}/resend")
    assert (refused.status_code, refused.json()["limit"]) == (429, "spend_country")
    assert 86_000 < int(refused.headers["retry-after"]) <= 86_400 + 900
    assert len(await app.messages(number)) == 1
    assert (await app.verify(id_, code)).json()["approved"]


async def test_what_telnyx_refuses_is_given_back(app: World) -> None:
    for number in ("+4790010106", "+4790020106"):
        assert (await _start(app, number)).json()["status"] == "undeliverable"
    await _outcome(app, "+4790000003", SILENT)
    assert (await _start(app, "+4790000003")).status_code == 201


async def test_what_an_opt_out_refuses_is_given_back(app: World) -> None:
    await _outcome(app, "+4790000005", SILENT)
    assert (await app.api.put("/v1/opt-outs/+4790000004")).status_code in (200, 201, 204)
    assert (await _start(app, "+4790000004")).status_code == 403
    assert (await _start(app, "+4790000005")).status_code == 201
    assert (await _start(app, "+4790000006")).status_code == 429


@pytest.mark.usefixtures("app")  # Whoever comes first empties the store of other keys' data.
async def test_a_message_of_two_segments_is_reserved_as_two(store: Redis, valkey: str) -> None:
    money = {"default_price": 0.1, "countries": {"GR": {"hour": 0.15}}}
    texts = {"max_segments": 2}
    async with world(valkey, role=Role.API, limits=LIMITS, money=money, texts=texts) as running:
        body = {"to": "+306912345678", "web_origin": "https://login.example.com"}
        answer = await running.api.post(START, json=body)
        assert (answer.status_code, answer.json()["limit"]) == (429, "spend_country")
        await running.start(body["to"])
