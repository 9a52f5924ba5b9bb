"""The guard over HTTP: what is refused, what the answer says of it, and the one event that it leaves."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.clock import ManualClock
from tests.harness import World, client, make_api_key, world

START = "/v1/verifications"
PHONE = "+12025550123"
LIMITS = {
    "recipient": ["2/600", "3/3600"],
    "client_ip": ["4/600"],
    "without_client_ip": ["3/600"],
    "prefix": ["12/600"],
    "country": ["20/600"],
    "app": ["100/600"],
    "api_key": ["60/60"],
    "failed_keys": "5/60",
    "keys": {"device": ["2/600", "3/3600"]},
}
GUARD = {
    "countries": {"FR": "block", "DE": "monitor", "*": "allow"},
    "number_types": {"toll_free": "record_only"},
}


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
async def _guarded(valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    async with world(valkey, clock=clock, limits=LIMITS, guard=GUARD) as running:
        yield running


@pytest.fixture
async def app(_guarded: World, store: Redis) -> World:
    return _guarded


async def _start(app: World, to: str = PHONE, **body: Any) -> httpx.Response:
    return await app.api.post(START, json={"to": to, **body})


async def _blocked(store: Redis) -> list[dict[str, Any]]:
    found = []
    async for key in store.scan_iter("*audit"):
        entries: Any = await store.xrange(key)
        found += [json.loads(fields["event"]) for _, fields in entries]
    return [event for event in found if event["type"] == "guard.blocked"]


async def _logs(store: Redis) -> dict[str, int]:
    """How many starts each limit has counted, by its name."""
    return {
        name: await store.zcard(key)
        async for key in store.scan_iter("*}:l:*")
        if (name := key.rsplit(":", 1)[-1]) != "api_key"
    }


def _own(n: int) -> dict[str, Any]:
    """An end user of one's own, so that only the limit under test is met."""
    return {"client_ip": f"192.0.2.{n + 1}"}


CASES: dict[str, tuple[int, list[dict[str, Any]]]] = {
    "recipient": (2, [{"to": PHONE, **_own(n)} for n in range(3)]),
    "client_ip": (4, [{"to": f"+1202{n}550123", "client_ip": "192.0.2.1"} for n in range(2, 7)]),
    "without_client_ip": (3, [{"to": f"+1202{n}550123"} for n in range(2, 6)]),
    "prefix": (12, [{"to": f"+1202555{2000 + n}", **_own(n)} for n in range(13)]),
    "country": (20, [{"to": f"+1202{200 + n}0123", **_own(n)} for n in range(21)]),
    "limit_keys.device": (
        2,
        [{"to": f"+1202{n}550123", "limit_keys": {"device": "d"}, **_own(n)} for n in range(2, 5)],
    ),
}


@pytest.mark.parametrize("limit", CASES)
async def test_a_limit_names_itself_and_its_retry_after_is_true(
    app: World, store: Redis, clock: ManualClock, limit: str
) -> None:
    count, bodies = CASES[limit]
    for body in bodies[:count]:
        assert (await _start(app, **body)).status_code == 201
    clock.move(7_000)
    refused = await _start(app, **bodies[count])
    assert (refused.status_code, refused.json()["limit"]) == (429, limit)
    assert refused.headers["retry-after"] == "593"
    assert refused.headers["ratelimit-policy"] == f'"{limit}";q={count};w=600'
    assert refused.headers["ratelimit"] == f'"{limit}";r=0;t=593'

    (event,) = await _blocked(store)
    assert event | {"rule": "limit", "limit": limit, "count": count, "window": 600} == event
    assert (event["app"], event["country"]) == ("default", "US")
    assert event["masked"].endswith(bodies[count]["to"][-2:])
    assert event["recipient"]
    assert bodies[count]["to"][1:] not in json.dumps(event)

    clock.move(592_999)
    assert (await _start(app, **bodies[count])).status_code == 429
    clock.move(1)
    assert (await _start(app, **bodies[count])).status_code == 201


async def test_the_longer_window_says_its_own_time(app: World, clock: ManualClock) -> None:
    for _ in range(3):
        assert (await _start(app, **_own(1))).status_code == 201
        clock.move(600_000)
    refused = await _start(app, **_own(1))
    assert refused.headers["retry-after"] == "1800"
    assert refused.headers["ratelimit-policy"] == '"recipient";q=3;w=3600'


async def test_a_refused_start_counts_against_nothing(app: World, store: Redis) -> None:
    for _ in range(2):
        await _start(app, **_own(1))
    before = await _logs(store)
    assert before["app"] == 2
    assert (await _start(app, **_own(1))).json()["limit"] == "recipient"
    assert await _logs(store) == before


async def test_only_the_callers_own_limits_are_shown_on_success(app: World) -> None:
    started = await _start(app, limit_keys={"device": "d"}, **_own(1))
    assert started.headers["ratelimit-policy"] == '"api_key";q=60;w=60, "app";q=100;w=600'
    key, of_app = started.headers["ratelimit"].split(", ")
    assert of_app == '"app";r=99;t=600'
    assert key.startswith('"api_key";r=')


async def test_no_key_of_the_caller_stands_in_the_store(app: World, store: Redis) -> None:
    await _start(app, limit_keys={"device": "secret-device"}, client_ip="198.51.100.77")
    for key in await store.keys("*"):
        kind = await store.type(key)
        held: Any = key
        match kind:
            case "hash":
                held += json.dumps(await store.hgetall(key))
            case "zset":
                held += json.dumps(await store.zrange(key, 0, -1))
            case "stream":
                held += json.dumps(await store.xrange(key))
        assert "secret-device" not in held
        assert "198.51.100.77" not in held


@pytest.mark.parametrize(
    "keys",
    [{f"k{n}": "v" for n in range(6)}, {"Device": "v"}, {"d": ""}, {"d": "v" * 129}, {"d": 1}, "d"],
)
async def test_bad_limit_keys_are_an_invalid_request(app: World, keys: object) -> None:
    refused = await _start(app, limit_keys=keys)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].startswith("/limit_keys")


async def test_starts_without_an_address_are_counted_for_the_operator(app: World) -> None:
    def count(text: str) -> float:
        (line,) = [
            x for x in text.splitlines() if x.startswith("countersign_starts_without_client_ip_tot")
        ]
        return float(line.split()[-1])

    before = count((await app.api.get("/metrics")).text)
    await _start(app)
    await _start(app, "+12025550124", **_own(1))
    assert count((await app.api.get("/metrics")).text) == before + 1


async def test_a_blocked_country_gets_nothing_and_leaves_one_event(
    app: World, store: Redis
) -> None:
    for to, slug, fields in (
        ("+33612345678", "country-not-allowed", {"rule": "country", "value": "FR"}),
        ("+19005551234", "number-type-not-allowed", {"rule": "number_type", "value": "premium"}),
    ):
        refused = await _start(app, to, **_own(1))
        assert (refused.status_code, refused.json()["type"]) == (403, f"/problems/{slug}")
        (event,) = [e for e in await _blocked(store) if e.get("value") == fields["value"]]
        assert event | fields | {"action": "block"} == event
        assert await app.messages(to) == []
    assert await _logs(store) == {}
    metrics = (await app.api.get("/metrics")).text
    assert 'countersign_guard_total{action="block",rule="country"}' in metrics


async def test_what_is_watched_is_sent_and_marked(app: World, store: Redis) -> None:
    marks = {}
    others = "+12025550177"
    for to in ("+4915123456789", "+18005550123", others):
        id_ = (await _start(app, to, **_own(1))).json()["id"]
        async for key in store.scan_iter("*audit"):
            entries: Any = await store.xrange(key)
            for _, fields in entries:
                event = json.loads(fields["event"])
                if (event["type"], event["verification"]) == ("verification.created", id_):
                    marks[to] = event.get("guard")
        assert len(await app.messages(to)) == 1
    assert marks == {
        "+4915123456789": [{"rule": "country", "value": "DE", "action": "monitor"}],
        "+18005550123": [
            {
                "rule": "number_type",
                "value": "toll_free",
                "action": "record_only",
                "would": "block",
            }
        ],
        others: None,
    }


async def test_an_opted_out_start_leaves_one_event_and_counts_nothing(
    app: World, store: Redis
) -> None:
    await app.api.put(f"/v1/opt-outs/{PHONE}")
    assert (await _start(app, **_own(1))).status_code == 403
    (event,) = await _blocked(store)
    assert event["rule"] == "opt_out"
    assert await _logs(store) == {}


async def test_wrong_codes_end_in_a_true_429_on_verify_and_on_start(
    app: World, clock: ManualClock
) -> None:
    begun = clock.now()
    for n in range(2):
        id_ = (await _start(app, **_own(n))).json()["id"]
        for guess in range(5):
            assert (await app.verify(id_, f"{guess:04d}")).json()["approved"] is False
    spare = await app.api.post(START, json={"to": PHONE, "purpose": "pay", **_own(9)})
    assert (spare.status_code, spare.json()["limit"]) == (429, "wrong_codes")
    wait = int(spare.headers["retry-after"])
    assert clock.now() + wait * 1000 == begun + 86_400_000
    clock.move(wait * 1000 - 1)
    assert (await _start(app, **_own(9))).json()["limit"] == "wrong_codes"
    clock.move(1)
    assert (await _start(app, **_own(9))).status_code == 201


async def test_bad_keys_slow_down_and_good_ones_from_the_same_address_pass(
    app: World, clock: ManualClock
) -> None:
    base = str(app.api.base_url)
    async with client(base, "cs_000000000000_" + "x" * 32) as guesser:
        for _ in range(5):
            assert (await guesser.get(f"{START}/x")).status_code == 401
        refused = await guesser.get(f"{START}/x")
        assert (refused.status_code, refused.json()["limit"]) == (429, "failed_keys")
        assert refused.headers["retry-after"] == "60"
        assert (await _start(app, **_own(1))).status_code == 201
        clock.move(59_999)
        assert (await guesser.get(f"{START}/x")).status_code == 429
        clock.move(1)
        assert (await guesser.get(f"{START}/x")).status_code == 401


async def test_a_key_has_a_limit_of_its_own(app: World, clock: ManualClock) -> None:
    redis_url = app.settings.redis_url.get_secret_value()
    busy, other = [await make_api_key(redis_url) for _ in range(2)]
    base = str(app.api.base_url)
    async with client(base, busy) as caller, client(base, other) as another:
        for _ in range(60):
            await caller.get(f"{START}/x")
        refused = await caller.get(f"{START}/x")
        assert (refused.status_code, refused.json()["limit"]) == (429, "api_key")
        assert (await another.get(f"{START}/x")).status_code == 404
        clock.move(int(refused.headers["retry-after"]) * 1000)
        assert (await caller.get(f"{START}/x")).status_code == 404
