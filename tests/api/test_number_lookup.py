"""Number Lookup over HTTP: what it refuses, what it costs, and what becomes of a start when it fails."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.app import Role
from tests.harness import World, world

LOOKUP: dict[str, Any] = {
    "enabled": True,
    "timeout": 0.3,
    "on_failure": "block",
    "recently_ported": {"days": 7, "action": "block"},
}
GUARD = {"number_types": {"voip": "block"}}
MOBILE, FIXED, VOIP, PREMIUM, PORTED = (
    f"+1202555{n}" for n in ("0123", "0106", "0120", "0121", "0122")
)


@pytest.fixture(scope="module")
async def _looking(valkey: str) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    async with world(valkey, role=Role.API, lookup=LOOKUP, guard=GUARD) as running:
        yield running


@pytest.fixture
async def app(_looking: World, store: Redis) -> AsyncIterator[World]:
    yield _looking
    await _looking.phone.post("/sandbox/outages", json={"mode": "none", "seconds": 0})


async def _start(app: World, to: str, **headers: str) -> httpx.Response:
    return await app.api.post("/v1/verifications", json={"to": to}, headers=headers)


def _lookups(app: World, outcome: str) -> float:
    value = app.service.api.state.parts.metrics.registry.get_sample_value(
        "countersign_lookups_total", {"outcome": outcome}
    )
    return float(value or 0)


async def _blocked(store: Redis) -> list[dict[str, Any]]:
    found = []
    async for key in store.scan_iter("*audit"):
        entries: Any = await store.xrange(key)
        found += [json.loads(fields["event"]) for _, fields in entries]
    return [event for event in found if event["type"] == "guard.blocked"]


@pytest.mark.parametrize(
    ("to", "type_", "rule"),
    [
        (FIXED, "landline", "number_type"),
        (VOIP, "voip", "number_type"),
        (PREMIUM, "premium", "number_type"),
        (PORTED, "recently_ported", "recently_ported"),
    ],
)
async def test_what_telnyx_says_of_a_line_meets_the_rules(
    app: World, store: Redis, to: str, type_: str, rule: str
) -> None:
    refused = await _start(app, to)
    assert (refused.status_code, refused.json()["type"]) == (
        403,
        "/problems/number-type-not-allowed",
    )
    assert refused.json()["number_type"] == type_
    (event,) = await _blocked(store)
    assert (event["rule"], event["action"]) == (rule, "block")
    assert await app.messages(to) == []
    again = await _start(app, to)
    assert again.json() == refused.json()


async def test_a_number_is_looked_up_once_and_never_stored_plain(app: World, store: Redis) -> None:
    before = _lookups(app, "found"), _lookups(app, "cached")
    assert [(await _start(app, MOBILE)).status_code for _ in range(2)] == [201, 201]
    assert (_lookups(app, "found"), _lookups(app, "cached")) == (before[0] + 1, before[1] + 1)
    (key,) = [key async for key in store.scan_iter("*}:n:*")]
    assert 0 < await store.ttl(key) <= 86_400
    assert await store.get(key) == '{"type":"mobile"}'
    assert MOBILE[1:] not in key


@pytest.mark.parametrize("mode", ["down", "slow"])
async def test_a_failure_is_bounded_in_time_and_asked_again(
    app: World, store: Redis, mode: str
) -> None:
    await app.phone.post("/sandbox/outages", json={"mode": mode, "seconds": 60})
    before = _lookups(app, "failed")
    refused = await _start(app, MOBILE, **{"idempotency-key": mode})
    assert refused.status_code == 503
    assert _lookups(app, "failed") == before + 1
    assert [event["rule"] for event in await _blocked(store)] == ["lookup"]
    await app.phone.post("/sandbox/outages", json={"mode": "none", "seconds": 0})
    # The refusal was ours, not the recipient's: the same request may pass.
    assert (await _start(app, MOBILE, **{"idempotency-key": mode})).status_code == 201


async def test_what_the_local_rules_refuse_is_not_looked_up(app: World) -> None:
    before = [_lookups(app, outcome) for outcome in ("found", "cached", "failed")]
    assert (await _start(app, "+442079460123")).status_code == 403  # a landline
    assert [_lookups(app, outcome) for outcome in ("found", "cached", "failed")] == before


async def test_a_refusal_counts_against_the_shared_limits_for_it_was_paid_for(
    app: World, store: Redis
) -> None:
    await _start(app, VOIP)
    (log,) = [key async for key in store.scan_iter("*}:l:*:prefix")]
    assert await store.zcard(log) == 1
    assert [key async for key in store.scan_iter("*}:l:*:recipient")] == []
