"""API keys end, rotate, and say when they were last used."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from service.clock import ManualClock
from service.store.api_keys import CACHE_TIME, USE_INTERVAL, ApiKeyStore, KeyChangedError, Scope
from tests.store.stores import NOW, Stores

HOUR = 3_600_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def spawned() -> list[asyncio.Task[None]]:
    return []


@pytest.fixture
async def api_keys(
    stores: Stores, clock: ManualClock, spawned: list[asyncio.Task[None]]
) -> AsyncIterator[ApiKeyStore]:
    def spawn(work: Coroutine[Any, Any, None]) -> None:
        spawned.append(asyncio.create_task(work))

    yield ApiKeyStore(stores.connection, clock, spawn)
    await asyncio.gather(*spawned)


async def test_a_key_ends_to_the_millisecond(api_keys: ApiKeyStore, clock: ManualClock) -> None:
    key, plain = await api_keys.create("shop", [Scope.VERIFICATIONS], NOW + HOUR)
    clock.move(HOUR - 1)
    assert await api_keys.check(plain) == key
    clock.move(1)
    assert await api_keys.check(plain) is None
    assert await api_keys.rotate(key.id, HOUR) is None


async def test_both_secrets_are_right_in_the_overlap_and_one_after_it(
    api_keys: ApiKeyStore, clock: ManualClock
) -> None:
    key, old = await api_keys.create("shop", [Scope.VERIFICATIONS])
    rotated = await api_keys.rotate(key.id, HOUR)
    assert rotated is not None
    new = rotated[1]
    assert new != old
    clock.move(CACHE_TIME)
    assert [await api_keys.check(plain) is not None for plain in (old, new)] == [True, True]
    clock.move(HOUR - CACHE_TIME)
    assert [await api_keys.check(plain) is not None for plain in (old, new)] == [False, True]


async def test_a_second_rotation_leaves_one_old_secret(api_keys: ApiKeyStore) -> None:
    key, first = await api_keys.create("shop", [Scope.VERIFICATIONS])
    second = await api_keys.rotate(key.id, HOUR)
    third = await api_keys.rotate(key.id, HOUR)
    assert second is not None
    assert third is not None
    found = [await api_keys.check(plain) is not None for plain in (first, second[1], third[1])]
    assert found == [False, True, True]


async def test_a_use_is_recorded_once_a_minute_beside_the_request(
    api_keys: ApiKeyStore, clock: ManualClock, spawned: list[asyncio.Task[None]]
) -> None:
    _, plain = await api_keys.create("shop", [Scope.VERIFICATIONS])
    ((_, before),) = await api_keys.list()
    await api_keys.check(f"{plain}x")
    assert spawned == []
    for _ in range(20):
        await api_keys.check(plain)
    clock.move(USE_INTERVAL - 1)
    await api_keys.check(plain)
    assert len(spawned) == 1
    await asyncio.gather(*spawned)
    ((_, used),) = await api_keys.list()
    assert (before, used) == (None, NOW)
    clock.move(1)
    await api_keys.check(plain)
    await asyncio.gather(*spawned)
    ((_, used),) = await api_keys.list()
    assert used == NOW + USE_INTERVAL


async def test_an_entry_of_an_earlier_release_is_read(
    stores: Stores, api_keys: ApiKeyStore
) -> None:
    key, plain = await api_keys.create("shop", [Scope.VERIFICATIONS])
    entry = json.loads(await stores.connection.command("HGET", "cs:api-keys", key.id))
    for name in ("expires_at", "previous_hash", "previous_until"):
        del entry[name]
    await stores.connection.command("HSET", "cs:api-keys", key.id, json.dumps(entry))
    assert await api_keys.check(plain) == key


async def test_a_rotation_does_not_undo_a_revocation(
    api_keys: ApiKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = await api_keys.create("shop", [Scope.VERIFICATIONS])
    before = await api_keys._read(key.id)
    await api_keys.revoke(key.id)

    async def read_before(_: str) -> str | None:
        return before

    monkeypatch.setattr(api_keys, "_read", read_before)
    with pytest.raises(KeyChangedError):
        await api_keys.rotate(key.id, HOUR)
    ((stored, _),) = await api_keys.list()
    assert stored.revoked_at is not None
