"""How often each call asks Redis, so that one more is a decision and no accident."""

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nacl.signing import SigningKey
from redis.asyncio import Redis

from service.app import Role
from service.clock import ManualClock
from service.store.connection import Connection
from tests.harness import SEED, World, world

SILENT = "+12025550104"  # the sandbox sends no webhook for it


@pytest.fixture
async def app(redis: Redis, valkey: str) -> AsyncIterator[World]:
    clock = ManualClock(time.time_ns() // 1_000_000)
    async with world(valkey, role=Role.API, clock=clock) as running:
        await running.api.get("/v1/verifications/x")  # the API key is cached from here
        yield running


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every round trip, in order: what runs in one pipeline is one."""
    made: list[str] = []
    guard = Connection._guard

    async def counted(self: Connection, call: Any) -> Any:
        made.append(getattr(call, "__qualname__", "?"))
        return await guard(self, call)

    monkeypatch.setattr(Connection, "_guard", counted)
    return made


async def _start(app: World, **headers: str) -> dict[str, Any]:
    body = {"to": SILENT, "client_ip": "192.0.2.7", "limit_keys": {"device": "d", "user": "u"}}
    answer = await app.api.post("/v1/verifications", json=body, headers=headers)
    assert answer.status_code == 201
    return dict(answer.json())


async def test_start_and_verify(app: World, trips: list[str]) -> None:
    await _start(app)  # scripts are loaded from here
    trips.clear()
    started = await _start(app)
    assert len(trips) == 3, trips  # limits, create and begin, outcome
    (*_, code) = await app.codes(SILENT, 2)

    trips.clear()
    wrong = "000000" if code != "000000" else "000001"
    assert not (await app.verify(started["id"], wrong)).json()["approved"]
    trips.clear()
    assert (await app.verify(started["id"], code)).json()["approved"]
    await app.service.tasks.drain(5)
    assert len(trips) == 3, trips  # count, settle; and, after the answer, the tallies


async def test_a_learnt_order_costs_nothing_more(
    redis: Redis, valkey: str, trips: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.app.ORDER_INTERVAL", 3_600_000)  # what is read beside starts
    clock = ManualClock(time.time_ns() // 1_000_000)
    still = {"explore": 0}
    async with world(valkey, role=Role.API, clock=clock, adaptive=True, ordering=still) as app:
        await _start(app)
        trips.clear()
        started = await _start(app)
        assert len(trips) == 3, trips  # the person's last sender comes with the limits
        (*_, code) = await app.codes(SILENT, 2)
        wrong = "000000" if code != "000000" else "000001"
        await app.verify(started["id"], wrong)  # scripts are loaded from here
        trips.clear()
        assert (await app.verify(started["id"], code)).json()["approved"]
        await app.service.tasks.drain(5)
        assert len(trips) == 3, trips
        assert (await _start(app))["deliveries"][0]["sender"] == "short"


async def test_uniform_answers_cost_the_same_for_everybody(
    redis: Redis, valkey: str, trips: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.flow.tasks._ANSWERED", 0.2)
    async with world(valkey, role=Role.API, uniform_answers=True) as app:
        await app.api.put("/v1/opt-outs/+12025550123")
        made = []
        for to in (SILENT, SILENT, "+12025550123", "+442079460123"):
            trips.clear()
            assert (await app.api.post("/v1/verifications", json={"to": to})).status_code == 201
            made.append(list(trips))
            await app.service.tasks.drain(5)
    assert made[1:] == [made[1]] * 3  # the first loads scripts
    assert len(made[1]) == 3, made  # limits, create; and the record for the answer


async def test_a_cap_in_money_costs_one_more(redis: Redis, valkey: str, trips: list[str]) -> None:
    money = {"hour": 50, "apps": {"default": {"day": 20}}, "countries": {"*": {"hour": 10}}}
    async with world(valkey, role=Role.API, money=money) as app:
        await _start(app)
        trips.clear()
        await _start(app)
        assert len(trips) == 4, trips  # after the limits, three caps together


async def test_an_idempotency_key_costs_two_more(app: World, trips: list[str]) -> None:
    await _start(app, **{"idempotency-key": "warm"})
    trips.clear()
    await _start(app, **{"idempotency-key": "one"})
    assert len(trips) == 5, trips


async def test_a_webhook(app: World, trips: list[str]) -> None:
    started = await _start(app)
    await app.api.post(f"/v1/verifications/{started['id']}/cancel")
    parts = app.service.api.state.parts
    number = f"{started['id']}.1"
    tag = parts.facts._keyring.tag(number)
    path = f"/webhooks/telnyx/{number}.{tag}"
    assert await _webhook(app, path, "e1") == 200
    trips.clear()
    assert await _webhook(app, path, "e2") == 200
    assert len(trips) == 1, trips


async def _webhook(app: World, path: str, event_id: str) -> int:
    payload = {"id": "m", "to": [{"status": "delivered"}]}
    data = {"id": event_id, "event_type": "message.finalized", "payload": payload}
    data["occurred_at"] = "2027-01-15T08:00:00.000+00:00"
    body = json.dumps({"data": data}).encode()
    at = str(int(time.time()))
    signature = SigningKey(SEED).sign(f"{at}|".encode() + body).signature
    headers = {
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        "telnyx-timestamp": at,
    }
    return (await app.api.post(path, content=body, headers=headers)).status_code
