"""The data of the release before, and this release on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from redis.asyncio import Redis

from tests.harness import World, client, world
from tests.upgrade.fixture import Before, load


@dataclass(frozen=True, slots=True)
class Upgraded:
    """This release on that data; ``api`` has the key that the old release gave out."""

    before: Before
    app: World
    api: httpx.AsyncClient
    redis: Redis

    async def verify(self, name: str, code: str) -> dict[str, Any]:
        answer = await self.app.verify(self.before.id(name), code)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def start(self, name: str, **headers: str) -> httpx.Response:
        body = {"to": self.before.number(name), "client_ip": "192.0.2.99"}
        return await self.api.post("/v1/verifications", json=body, headers=headers)


@asynccontextmanager
async def upgraded(redis: Redis, valkey: str, **changes: Any) -> AsyncIterator[Upgraded]:
    """As ``countersign up`` of the old release was configured."""
    before = await load(redis)
    changes = {"keys": before.keys, "hash": {"profile": "owasp"}, **changes}
    async with (
        world(valkey, **changes) as app,
        client(str(app.api.base_url), before.api_key) as api,
    ):
        yield Upgraded(before, app, api, redis)
