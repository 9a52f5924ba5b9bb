"""The store alone, over one server."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from service.store.connection import Connection
from tests.store.stores import Stores


@pytest.fixture
async def stores(redis: Redis, valkey: str) -> AsyncIterator[Stores]:
    connection = await Connection.open(valkey)
    yield Stores(connection)
    await connection.close()
