"""The order of senders in real starts: it follows the evidence, the person and quarantines, and says why."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from service.app import Role
from service.clock import ManualClock
from service.domain.explain import explain
from service.domain.quarantine import Watch
from service.domain.stats import HOUR
from service.store.keys import stats_sum
from tests.harness import World, client, world

LIMITS: dict[str, list[str]] = {"recipient": [], "client_ip": [], "without_client_ip": []}
HOLD = 120_000
FAILS, DELIVERS = "0101", "0001"
ROUTES = [
    {"countries": ["CA"], "plan": ["short", "long"], "fixed": True},
    {"countries": ["US"], "plan": ["short", "long", "pool"]},
]


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
async def _shared(valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    ordering = {"hold": HOLD // 1000, "explore": 0}
    async with world(
        valkey,
        role=Role.API,
        clock=clock,
        limits=LIMITS,
        routes=ROUTES,
        adaptive=True,
        ordering=ordering,
    ) as running:
        yield running


@pytest.fixture
async def app(_shared: World, store: Redis, clock: ManualClock) -> World:
    # Telnyx's webhooks bear the true time, and are stale after 300 s.
    clock.move(time.time_ns() // 1_000_000 - clock.now())
    assert _shared.service.quarantine is not None
    _shared.service.quarantine._watch = Watch(_shared.settings.ordering.quarantine_policy())
    await _look(_shared)
    return _shared


async def _look(app: World) -> int:
    """As the background does every few seconds: count, judge, take notice."""
    assert app.service.quarantine is not None
    await app.service.statistics()
    changed = await app.service.quarantine()
    await app.service.ordering()
    return changed


async def _short_codes(app: World, outcome: str) -> None:
    body = {"kind": "short_code", "outcome": outcome}
    assert (await app.phone.post("/sandbox/scenarios", json=body)).status_code == 200


async def _health(app: World) -> str:
    """The dashboard's page."""
    key = app.api.headers["authorization"].removeprefix("Bearer ")
    async with client(str(app.api.base_url)) as browser:
        await browser.post("/dashboard/sign-in", data={"key": key})
        return (await browser.get("/dashboard/health")).text


async def _first(app: World, to: str, **body: Any) -> str:
    return str((await app.start(to, **body))["deliveries"][0]["sender"])


async def _created(store: Redis, started: str) -> dict[str, Any]:
    entries: Any = await store.xrange(f"cs:{{{started[4:6]}}}:audit")
    events = [json.loads(fields["event"]) for _, fields in entries]
    return next(
        e for e in events if e["type"] == "verification.created" and e["verification"] == started
    )


async def _evidence(store: Redis, now: int, of_other: int = 0, **proven: int) -> None:
    """As if a thousand first messages had gone through each, within this hour; ``of_other``: proven of as
    many that another app sent through `long`."""
    rows = {
        f"default\x1fUS\x1f{name}\x1f": {"first": 1_000, "first_proven": n, "sent": 1_000}
        for name, n in proven.items()
    }
    if of_other:
        sums = {"first": 1_000, "first_proven": of_other, "sent": 1_000}
        rows["other\x1fUS\x1flong\x1f"] = sums
    await store.hset(stats_sum(now // HOUR), mapping={"version": 1, "rows": json.dumps(rows)})
    await store.pexpire(stats_sum(now // HOUR), HOUR)


async def test_what_is_proven_decides_and_the_event_says_so(
    app: World, store: Redis, clock: ManualClock
) -> None:
    await _evidence(store, clock.now(), short=400, long=800, pool=600)
    await app.service.ordering()
    started = await app.start("+12025550141")
    assert started["deliveries"][0]["sender"] == "long"
    assert started["deliveries"][0]["reason"] == "initial"
    event = await _created(store, started["id"])
    assert event["plan"] == ["long", "pool", "short"]
    assert event["order"][0] == {"sender": "long", "why": "conversion", "proven": 0.8}
    assert "long, by how many of its codes are typed in, and its price (80% typed in)" in explain(
        event
    )
    assert 'countersign_orders_total{why="conversion"}' in (await app.api.get("/metrics")).text


async def test_what_somebody_fixed_stays(app: World, store: Redis, clock: ManualClock) -> None:
    await _evidence(store, clock.now(), short=400, long=800)
    await app.service.ordering()
    asked = await app.start("+12025550142", senders=["short", "long"])
    assert asked["deliveries"][0]["sender"] == "short"
    assert {p["why"] for p in (await _created(store, asked["id"]))["order"]} == {"requested"}
    fixed = await app.start("+16135550142")
    assert fixed["deliveries"][0]["sender"] == "short"
    assert {p["why"] for p in (await _created(store, fixed["id"]))["order"]} == {"fixed"}


async def test_an_app_with_routes_of_its_own_learns_apart(
    app: World, store: Redis, clock: ManualClock
) -> None:
    await _evidence(store, clock.now(), of_other=990, short=700, long=500, pool=600)
    await app.service.ordering()
    routes = {"routes": [{"countries": ["US"], "plan": ["long", "pool", "short"]}]}
    put = await app.api.put("/v1/apps/default", json=routes, headers={"if-none-match": "*"})
    assert put.status_code == 201, put.text
    try:
        await app.service.ordering()
        started = await app.start("+12025550144")
        assert (await _created(store, started["id"]))["plan"] == ["short", "pool", "long"]
    finally:
        back = await app.api.put("/v1/apps/default", json={}, headers={"if-match": "*"})
    assert back.status_code == 200, back.text
    await app.service.ordering()
    started = await app.start("+12025550145")
    assert (await _created(store, started["id"]))["plan"] == ["long", "short", "pool"]


async def test_a_persons_last_good_sender_comes_first_until_she_is_erased(
    app: World, store: Redis, clock: ManualClock
) -> None:
    to = "+12025550143"
    await app.phone.post(
        "/sandbox/scenarios", json={"to": to, "kind": "short_code", "outcome": FAILS}
    )
    started = await app.start(to)
    (code,) = await app.codes(to)
    assert (await app.verify(started["id"], code)).json()["delivery"] == 2
    again = await app.start(to)
    assert [d["sender"] for d in again["deliveries"]] == ["long"]
    event = await _created(store, again["id"])
    assert [p["why"] for p in event["order"]] == ["sticky", "configured", "configured"]
    assert "the person's last code came through it" in explain(event)

    (key,) = [key async for key in store.scan_iter("cs:*:y:*")]
    assert await store.get(key) == "long"
    assert 89 * 86_400 < await store.ttl(key) <= 90 * 86_400
    assert (await app.api.post(f"/v1/verifications/{again['id']}/cancel")).status_code == 200
    parts = app.service.api.state.parts
    recipient = parts.keyring.lookup_id(to)
    assert await parts.people.erase(recipient, clock.now(), actor="operator")
    assert [key async for key in store.scan_iter("cs:*:y:*")] == []


async def test_a_sender_whose_failures_spike_comes_last_and_returns_by_itself(
    app: World, store: Redis, clock: ManualClock
) -> None:
    await _short_codes(app, FAILS)
    ids = [(await app.start(f"+1202555015{n}"))["id"] for n in range(9)]
    for id_ in ids:
        await app.until(id_, lambda v: v["deliveries"][-1]["status"] == "delivered")
    assert await _look(app) == 1
    started = await app.start("+12025550160")
    assert [d["sender"] for d in started["deliveries"]] == ["long"]
    place = (await _created(store, started["id"]))["order"][-1]
    assert (place["sender"], place["why"]) == ("short", "quarantined")
    assert place["failing"] == 1.0
    assert await _first(app, "+16135550160") == "short"  # another country
    health = await _health(app)
    assert "Senders in quarantine" in health

    await _short_codes(app, DELIVERS)
    clock.move(HOLD)
    assert await _look(app) == 0
    tried = []
    for n in range(80):
        v = await app.start(f"+1202555{n:02d}61")
        if v["deliveries"][0]["sender"] == "short":
            tried.append(v["id"])
        if len(tried) == 8:
            break
    assert (await _created(store, tried[0]))["order"][0]["why"] == "trial"
    for id_ in tried:
        await app.until(id_, lambda v: v["deliveries"][-1]["status"] == "delivered")
    assert await _look(app) == 1
    assert await _first(app, "+12025550162") == "short"
    assert "Senders in quarantine" not in await _health(app)

    entries: Any = await store.xrange("cs:{00}:audit")
    told = [e for e in (json.loads(f["event"]) for _, f in entries) if "sender." in e["type"]]
    assert [event["type"] for event in told] == ["sender.quarantined", "sender.returned"]
    assert (told[0]["sender"], told[0]["country"], told[0]["failed"]) == ("short", "US", 9)
    assert told[0]["until"] - told[0]["at"] == HOLD
    metrics = (await app.api.get("/metrics")).text
    assert 'countersign_quarantines_total{change="quarantined"} 1.0' in metrics
    assert 'countersign_quarantines_total{change="returned"} 1.0' in metrics
    assert "countersign_quarantined_senders 0.0" in metrics
