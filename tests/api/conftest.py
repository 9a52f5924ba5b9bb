"""One service for all tests of a module: they ask it many small questions."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.harness import World, world


@pytest.fixture(scope="module")
async def _shared(valkey: str) -> AsyncIterator[World]:
    client = Redis.from_url(valkey)
    await client.flushall()
    await client.aclose()
    async with world(valkey) as running:
        yield running


@pytest.fixture
async def app(_shared: World, store: Redis) -> World:
    return _shared
