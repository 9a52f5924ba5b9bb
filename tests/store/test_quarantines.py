"""Quarantines in the store: of several that judge at once one changes something, with one event."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from service.domain.audit import of_quarantine
from service.domain.quarantine import Change, Quarantined
from service.domain.stats import Where
from service.store.quarantines import QuarantineStore
from tests.store.stores import NOW, Stores

WHERE = Where("US", "a/b")  # a sender's name is the configuration's
ONCE = Quarantined(since=NOW, until=NOW + 600_000, strikes=1, failed=9, known=10, usual=0.05)
TWICE = replace(ONCE, strikes=2)


@pytest.fixture
def store(stores: Stores) -> QuarantineStore:
    return QuarantineStore(stores.connection, stores.scripts)


async def _change(store: QuarantineStore, before: int, now: Quarantined | None) -> bool:
    change = Change(WHERE, before, now)
    return await store.change(change, of_quarantine(change, NOW))


async def test_of_many_that_judge_at_once_one_changes(store: QuarantineStore, redis: Redis) -> None:
    found = await asyncio.gather(*(_change(store, 0, ONCE) for _ in range(10)))
    assert found.count(True) == 1
    assert await store.all() == {WHERE: ONCE}
    assert not await _change(store, 2, None)
    assert await _change(store, 1, TWICE)
    assert not await _change(store, 1, TWICE)
    assert await store.all() == {WHERE: TWICE}
    found = await asyncio.gather(*(_change(store, 2, None) for _ in range(10)))
    assert found.count(True) == 1
    assert await store.all() == {}
    entries: Any = await redis.xrange("cs:{00}:audit")
    events = [json.loads(fields["event"]) for _, fields in entries]
    assert [event["type"] for event in events] == [
        *("sender.quarantined", "sender.quarantined", "sender.returned")
    ]
    assert events[0] | {"country": "US", "sender": "a/b", "failed": 9, "of": 10} == events[0]
