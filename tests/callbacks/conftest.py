"""Receivers, and the deliveries alone over a real store."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis

from service.callbacks.client import CallbackClient
from service.callbacks.deliveries import LEASE, Deliveries
from service.clock import ManualClock
from service.domain.callback import CallbackRules
from service.domain.keyring import Keyring, parse_keys
from service.store.callbacks import CallbackStore
from service.store.connection import Connection
from service.store.keys import new_id
from service.telemetry import Metrics
from tests.callbacks.receiver import Receiver, receiving
from tests.harness import KEYS
from tests.store.stores import NOW, RECIPIENT, Stores

INNER = CallbackRules(allow_http=True, allow_private=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@dataclass
class Desk:
    """A store with verifications, and a worker's deliveries that the test polls by hand."""

    stores: Stores
    callbacks: CallbackStore
    deliveries: Deliveries
    clock: ManualClock
    metrics: Metrics
    another: Callable[[], Awaitable[Deliveries]]

    async def poll(self) -> None:
        """Deliver all that is due now."""
        await self.deliveries.poll()
        await self.deliveries.idle()

    async def told(self, url: str, reports: int = 0, **changes: Any) -> str:
        """A verification that tells of ``delivery.accepted``, then of so many reports."""
        # A purpose of its own: a second verification of one purpose would cancel the first.
        now = self.clock.now()
        fresh = {
            "id": new_id(RECIPIENT),
            "purpose": secrets.token_hex(4),
            "created_at": now,
            "expires_at": now + 300_000,
        }
        claim = await self.stores.sent(callback_url=url, **(fresh | changes))
        for number in range(reports):
            await self.stores.report(claim.verification.id, f"e{number}")
        return claim.verification.id


@pytest.fixture
async def desk(redis: Redis, valkey: str) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        connection = await Connection.open(valkey)
        stack.push_async_callback(connection.close)
        stores, clock, metrics = Stores(connection), ManualClock(NOW), Metrics()
        store = CallbackStore(connection, stores.scripts, lease=LEASE)

        async def another() -> Deliveries:
            client = CallbackClient(INNER)
            stack.push_async_callback(client.close)
            keyring = Keyring(parse_keys(KEYS))
            return Deliveries(store, client, keyring, url=None, clock=clock, metrics=metrics)

        yield Desk(stores, store, await another(), clock, metrics, another)
