"""SMS pumping over HTTP: what is refused, what it says, what it leaves behind, and how it ends."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.app import Role
from service.clock import ManualClock
from tests.harness import World, world

START = "/v1/verifications"
LIMITS: dict[str, list[str]] = {"recipient": [], "client_ip": [], "without_client_ip": []}
FLOORS = {"run": [2, 9], "prefix": [4, 9], "client": [3, 9], "country": [50, 90], "app": [90, 300]}
SAFE = {"countries": ["SE"], "prefixes": ["+4477009003"], "clients": ["203.0.113.0/24"]}
HOLD = 900_000


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
async def _blocking(valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    guard = {"pumping": {"mode": "block", "floors": FLOORS, "safe": SAFE}}
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    async with world(valkey, role=Role.API, clock=clock, limits=LIMITS, guard=guard) as running:
        yield running


@pytest.fixture
async def app(_blocking: World, store: Redis) -> World:
    return _blocking


async def _start(app: World, to: str, client: int = 0, **body: Any) -> httpx.Response:
    client_ip = f"198.51.100.{client}"
    return await app.api.post(START, json={"to": to, "client_ip": client_ip, **body})


async def _events(store: Redis, *types: str) -> list[dict[str, Any]]:
    found = []
    async for key in store.scan_iter("*audit"):
        entries: Any = await store.xrange(key)
        found += [json.loads(fields["event"]) for _, fields in entries]
    return [event for event in found if event["type"] in types]


async def _pump(app: World, count: int, first: int = 0) -> list[httpx.Response]:
    """Consecutive numbers, each from a client of its own."""
    return [await _start(app, f"+447700900{n:03d}", client=n) for n in range(first, first + count)]


async def _prove(app: World, to: str, client: int) -> None:
    """``to``: of this test alone, for the sandbox forgets nothing."""
    started = await _start(app, to, client=client)
    assert started.status_code == 201
    (code,) = await app.codes(to)
    assert (await app.verify(started.json()["id"], code)).json()["approved"]
    await app.service.tasks.drain(5)


async def test_a_run_of_consecutive_numbers_is_refused_with_its_figures(
    app: World, store: Redis
) -> None:
    before = len(await app.messages("+447700900002"))
    answers = await _pump(app, 4)
    assert [answer.status_code for answer in answers] == [201, 201, 403, 403]
    problem = answers[2].json()
    assert problem["type"] == "/problems/suspected-fraud"
    figures = {"dimension": "run", "window": 3600, "sent": 3, "proven": 0, "threshold": 2}
    assert problem | figures == problem
    assert len(await app.messages("+447700900002")) == before

    (tripped,) = await _events(store, "guard.tripped")
    assert tripped | figures | {"action": "block", "strikes": 1, "country": "GB"} == tripped
    blocked = await _events(store, "guard.blocked")
    assert len(blocked) == 2
    assert all(event | figures | {"rule": "pumping"} == event for event in blocked)
    assert all(len(event["keys"]) == 5 for event in blocked)
    assert "44770090" not in json.dumps([tripped, *blocked])
    metrics = (await app.api.get("/metrics")).text
    assert 'countersign_suspected_total{action="block",dimension="run"}' in metrics


async def test_a_block_ends_by_itself_and_doubles(app: World, clock: ManualClock) -> None:
    assert (await _pump(app, 3))[2].status_code == 403
    clock.move(HOLD - 1)
    assert (await _start(app, "+447700900010")).status_code == 403
    clock.move(1)
    # On probation: a quarter of the floor of two.
    assert [a.status_code for a in await _pump(app, 2, first=20)] == [201, 403]
    clock.move(2 * HOLD - 1)
    assert (await _start(app, "+447700900030")).status_code == 403
    clock.move(1)
    assert (await _start(app, "+447700900030")).status_code == 201


async def test_proven_codes_bear_unproven_ones(app: World) -> None:
    for n in range(4):
        await _prove(app, f"+44770090008{n}", client=n)
    # Two of the floor, and 1.86 for each proven one.
    answers = await _pump(app, 10, first=40)
    assert [answer.status_code for answer in answers] == [201] * 9 + [403]
    assert (answers[9].json()["sent"], answers[9].json()["proven"]) == (14, 4)


async def test_a_refused_start_counts_in_no_dimension(app: World, store: Redis) -> None:
    await _pump(app, 20)
    # Its prefix and its country know of the two that were sent, and so bear further ones.
    answers = [await _start(app, f"+44770090{n}00", client=n) for n in (1, 2, 3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]


async def test_a_resend_is_a_message_too(app: World, clock: ManualClock) -> None:
    before = len(await app.messages("+447700900001"))
    id_ = (await _start(app, "+447700900001")).json()["id"]
    resend = f"{START}/{id_}/resend"
    assert (await app.api.post(resend)).status_code == 429  # too soon, and not counted
    clock.move(31_000)
    assert (await app.api.post(resend)).status_code == 200
    clock.move(31_000)
    refused = await app.api.post(resend)
    assert (refused.status_code, refused.json()["sent"]) == (403, 3)
    assert len(await app.messages("+447700900001")) == before + 2


async def test_who_was_approved_before_goes_on(app: World) -> None:
    owner = "+447700900077"
    await _prove(app, owner, client=7)
    assert (await _pump(app, 6))[-1].status_code == 403
    assert (await _start(app, owner, client=7)).status_code == 201


async def test_the_safe_list_is_counted_but_not_judged(app: World) -> None:
    for body in (
        {"to": "+46701234567"},
        {"to": "+447700900399"},
        {"to": "+447700900001", "client_ip": "203.0.113.5"},
    ):
        for _ in range(5):
            assert (await app.api.post(START, json=body)).status_code == 201
    assert (await _start(app, "+447700900002")).status_code == 403


async def test_a_notice_is_no_message_to_be_proven(app: World) -> None:
    for n in range(5):
        body = {"to": f"+44770090200{n}", "event": "password_changed"}
        assert (await app.api.post("/v1/notices", json=body)).status_code == 201


async def test_a_refusal_is_not_kept_under_an_idempotency_key(
    app: World, clock: ManualClock
) -> None:
    await _pump(app, 3)
    body = {"to": "+447700900044", "client_ip": "198.51.100.44"}
    for moved, status in ((HOLD, 403), (0, 201)):
        answer = await app.api.post(START, json=body, headers={"idempotency-key": "one"})
        assert answer.status_code == status
        clock.move(moved)


@pytest.mark.usefixtures("app")  # Whoever comes first empties the store of other keys' data.
async def test_record_only_sends_marks_and_counts_false_blocks(valkey: str, store: Redis) -> None:
    guard = {"pumping": {"floors": FLOORS}}
    async with world(valkey, role=Role.API, limits=LIMITS, guard=guard) as app:
        answers = await _pump(app, 4)
        assert [answer.status_code for answer in answers] == [201] * 4
        created = await _events(store, "verification.created")
        marks = [mark for event in created for mark in event.get("guard", ())]
        figures = {"rule": "pumping", "dimension": "run", "sent": 3, "threshold": 2}
        assert len(marks) == 2
        assert all(mark | figures | {"would": "block"} == mark for mark in marks)
        assert not await _events(store, "guard.blocked")
        assert len(await _events(store, "guard.tripped")) == 1

        suspected = answers[3].json()["id"]
        (code,) = await app.codes("+447700900003")
        assert (await app.verify(suspected, code)).json()["approved"]
        await app.service.tasks.drain(5)
        assert "countersign_suspected_proven_total 1.0" in (await app.api.get("/metrics")).text
