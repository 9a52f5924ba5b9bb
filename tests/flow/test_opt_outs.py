"""Opt-outs in the one flow: by scope, in flight, and said by senders that nobody can reply to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from service.flow.advance import Advance
from tests.harness import TELNYX_KEY, World, eventually, world

PROFILE = "00000000-0000-4000-8000-000000000001"
OTHER_PROFILE = "00000000-0000-4000-8000-000000000002"
STOP_TEXT = "Stop: acme.example/stop"
SENDERS = {
    "brand": {
        "kind": "alphanumeric",
        "from": "Acme",
        "messaging_profile_id": PROFILE,
        "stop_text": STOP_TEXT,
        "stop_countries": ["FR"],
    },
}
# Fails with every sender after Telnyx took it, so that a fallback is always under way.
AREAS = iter((212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229))


@pytest.fixture(scope="module")
async def _shared(valkey: str) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    async with world(valkey, senders=SENDERS) as running:
        yield running


@pytest.fixture
async def app(_shared: World) -> World:
    return _shared


async def _text(app: World, to: str) -> str:
    (message,) = await app.messages(to)
    return str(message["text"])


async def _write(app: World, number: str, text: str) -> None:
    answer = await app.phone.post("/sandbox/inbound", json={"from": number, "text": text})
    assert answer.status_code == 202


async def _is(app: World, number: str, status: int) -> None:
    async def so() -> bool:
        return (await app.api.get(f"/v1/opt-outs/{number}")).status_code == status

    await eventually(so)


async def _by_webhook(app: World, number: str) -> None:
    await _write(app, number, "please stop texting me")
    await _is(app, number, 200)


async def _by_api(app: World, number: str) -> None:
    assert (await app.api.put(f"/v1/opt-outs/{number}")).status_code == 200


def _just_before(
    advance: Advance, point: str, purpose: str, stop: Callable[[], Awaitable[None]]
) -> Callable[[], None]:
    """Run ``stop`` right before the fallback for the purpose reaches ``point``; gives what undoes it."""
    owner: Any = advance if point in vars(Advance) else vars(advance)["_store"]
    plain = getattr(owner, point)

    async def paused(of: Any, *more: Any) -> Any:
        v = getattr(of, "verification", of)
        if v.purpose == purpose and len(v.deliveries) == 1:
            undo()
            await stop()
        return await plain(of, *more)

    def undo() -> None:
        vars(owner).pop(point, None)

    setattr(owner, point, paused)
    return undo


@pytest.mark.parametrize("how", [_by_webhook, _by_api])
@pytest.mark.parametrize("point", ["run", "_step", "_send", "_draft", "begin_delivery"])
async def test_a_stop_while_a_fallback_is_in_flight_stops_it_before_the_next_send(
    app: World, point: str, how: Callable[[World, str], Awaitable[None]]
) -> None:
    """From the failed report to the last look before the POST: wherever the STOP comes in between."""
    area = next(AREAS)
    number, purpose = f"+1{area}5550101", f"p{area}"
    undo = _just_before(app.service.advance, point, purpose, lambda: how(app, number))
    try:
        started = await app.start(number, purpose=purpose)
        v = await app.until(started["id"], lambda v: v["status"] == "undeliverable")
    finally:
        undo()
    assert (await app.api.get(f"/v1/opt-outs/{number}")).status_code == 200
    assert [d["reason"] for d in v["deliveries"]] == ["initial"]
    assert len(await app.messages(number)) == 1
    refused = await app.api.post("/v1/verifications", json={"to": number})
    assert refused.json()["type"].endswith("recipient-opted-out")


async def test_only_a_keyword_lifts_it_and_help_changes_nothing(app: World) -> None:
    number = "+12025550161"
    await _write(app, number, "OPT OUT")
    await _is(app, number, 200)
    for text in ("please start texting me again", "HELP", "yes please call me"):
        await _write(app, number, text)
    await eventually(lambda: _counted(app, 'request="help"'))
    await _is(app, number, 200)
    await _write(app, number, "unstop")
    await _is(app, number, 404)


async def test_a_brand_says_how_to_stop_where_the_law_asks_it(app: World) -> None:
    await app.start("+33612345678", web_origin="https://login.example.com")
    first, last = (await _text(app, "+33612345678")).splitlines()
    assert first.endswith(f"Ne le communiquez à personne. {STOP_TEXT}")
    assert last.startswith("@login.example.com #")
    await app.start("+447700900140")
    assert STOP_TEXT not in await _text(app, "+447700900140")
    notice = {"to": "+33612345679", "event": "number_changed"}
    assert (await app.api.post("/v1/notices", json=notice)).status_code == 201
    assert (await _text(app, "+33612345679")).endswith(STOP_TEXT)


async def test_a_sender_without_room_for_it_is_passed_over(app: World) -> None:
    origin = f"https://{'a' * 60}.{'b' * 24}.example.com"
    v = await app.start("+33612345670", web_origin=origin)
    assert [d["sender"] for d in v["deliveries"]] == ["long"]
    body = {"to": "+33612345671", "web_origin": origin, "senders": ["brand"]}
    refused = await app.api.post("/v1/verifications", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/senders"


async def test_a_keyword_that_only_the_account_knows_is_a_stop_too(app: World) -> None:
    number = "+12025550165"
    answer = await app.phone.post(
        f"/v2/messaging_profiles/{PROFILE}/autoresp_configs",
        headers={"authorization": f"Bearer {TELNYX_KEY}"},
        json={
            "op": "stop",
            "keywords": ["HALT"],
            "resp_text": "You get no more messages.",
            "country_code": "US",
        },
    )
    assert answer.status_code == 200, answer.text
    await _write(app, number, "halt")
    await _is(app, number, 200)


async def _counted(app: World, label: str) -> bool:
    return f"countersign_inbound_total{{{label}}}" in (await app.api.get("/metrics")).text
