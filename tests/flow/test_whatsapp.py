"""WhatsApp in a plan: for people who cannot get SMS, and as any other sender."""

import re
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.harness import World, eventually, world

CHAT = {
    "kind": "whatsapp",
    "from": "+18445550001",
    "template": "login_code",
    "language": "en_US",
}
NO_MOBILE, PHONE = "+12025550106", "+12025550123"


@pytest.fixture
async def app(redis: Redis, valkey: str) -> AsyncIterator[World]:
    routes = [{"countries": ["*"], "plan": ["short", "long", "chat"]}]
    async with world(valkey, senders={"chat": CHAT}, routes=routes) as running:
        yield running


async def _code(app: World, to: str) -> str:
    async def arrived() -> str:
        texts = [m["text"] for m in await app.messages(to) if m["arrived"]]
        found = re.search(r"\b\d{6}\b", texts[-1]) if texts else None
        return found[0] if found else ""

    return await eventually(arrived)


async def test_who_cannot_get_sms_gets_the_code_there(app: World) -> None:
    started = await app.start(NO_MOBILE)
    code = await _code(app, NO_MOBILE)
    verdict = (await app.verify(started["id"], code)).json()
    assert (verdict["approved"], verdict["delivery"]) == (True, 2)
    v = await app.get(started["id"])
    assert [(d["sender"], d["kind"], d["reason"]) for d in v["deliveries"]] == [
        ("short", "short_code", "initial"),
        ("chat", "whatsapp", "recipient_unreachable"),
    ]


async def test_its_reports_drive_the_same_decisions(app: World) -> None:
    scenario = {"kind": "whatsapp", "outcome": "0100"}
    assert (await app.phone.post("/sandbox/scenarios", json=scenario)).status_code == 200
    started = await app.start(PHONE, senders=["chat", "long"])
    v = await app.until(started["id"], lambda v: v["deliveries"][-1]["status"] == "delivered")
    assert [(d["sender"], d["status"], d["reason"]) for d in v["deliveries"]] == [
        ("chat", "delivery_failed", "initial"),
        ("long", "delivered", "delivery_failed"),
    ]


async def test_payee_and_amount_need_a_text(app: World) -> None:
    transaction = {"payee": "Shop", "amount": "12.50", "currency": "EUR"}
    started = await app.start(PHONE, senders=["chat", "long"], transaction=transaction)
    assert [d["sender"] for d in started["deliveries"]] == ["long"]
    body = {"to": PHONE, "senders": ["chat"], "transaction": transaction}
    refused = await app.api.post("/v1/verifications", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/senders"
