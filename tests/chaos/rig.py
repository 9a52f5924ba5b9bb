"""Services over one store and one sandbox, with a clock of their own, whose steps a test decides."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx
from redis.asyncio import Redis

from service.app import Role, Service, build
from service.clock import ManualClock
from service.domain.errors import CountersignError
from service.domain.recipient import parse_recipient
from service.flow.start import StartRequest
from service.store import keys
from tests import applications
from tests.chaos.checker import violations
from tests.chaos.record import sent, trail
from tests.harness import client, free_port, make_settings, sandbox_config, serving

NO_LIMITS: dict[str, Any] = {"recipient": [], "client_ip": [], "prefix": [], "app": []}
_MOST_POLLS = 100


class LeapingClock(ManualClock):
    """Who sleeps on it moves it."""

    async def sleep(self, milliseconds: int) -> None:
        self.move(milliseconds)


@dataclass
class Rig:
    """``services`` are as many processes would have: of what one holds in memory, the others never know.
    They are built once; their loops do not run, so that nothing happens but what a test does."""

    clock: ManualClock
    services: list[Service]
    phone: httpx.AsyncClient
    redis: Redis
    url: str
    meta: Any

    async def clean(self) -> None:
        """An empty store, but for the key that all services opened."""
        await self.redis.flushall()
        await self.redis.hset(keys.META, mapping=self.meta)

    async def start(self, service: Service, to: str) -> str | None:
        """The id of a new verification, if there is one."""
        request = StartRequest(
            app="default",
            actor="key",
            recipient=parse_recipient(to),
            purpose="login",
            code_length=6,
            ttl=300_000,
            client_ip="192.0.2.1",
        )
        with suppress(CountersignError):
            started = await service.api.state.parts.start(request, None)
            return str(started.verification.id)
        return None

    async def go_on(self, service: Service) -> None:
        """Time passes, and a worker polls, until nothing is due any more."""
        for _ in range(_MOST_POLLS):
            due = await self._due()
            if due is None:
                return
            self.clock.move(max(due - self.clock.now(), 1))
            await service.worker.poll()
        raise AssertionError("it is due for ever")

    async def _due(self) -> int | None:
        pipe = self.redis.pipeline(transaction=False)
        for partition in range(keys.PARTITIONS):
            pipe.zrange(f"{keys.prefix(partition)}due", 0, 0, withscores=True)
        found: Any = await pipe.execute()
        return min((int(first[0][1]) for first in found if first), default=None)

    async def violations(self, *numbers: str, nobody_died: bool = False) -> list[str]:
        """What the witnesses say against the run; without ``numbers`` all that was sent counts."""
        if numbers:
            messages = [message for to in numbers for message in await sent(self.phone, to)]
        else:
            messages = await sent(self.phone)
        return violations(await trail(self.url), messages, nobody_died=nobody_died)


@asynccontextmanager
async def rigged(redis_url: str, count: int) -> AsyncIterator[Rig]:
    """``count`` services. Reports are lost: nobody listens where they go, so Telnyx is asked."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = make_settings(redis_url, free_port(), url, {"limits": NO_LIMITS})
    config = replace(sandbox_config(), report_delay=0.0)
    clock = LeapingClock(time.time_ns() // 1_000_000)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(redis_url, decode_responses=True))
        await redis.flushall()
        await stack.enter_async_context(serving(applications.sandbox(config), port))
        phone = await stack.enter_async_context(client(url))
        made = [build(settings, Role.API, clock) for _ in range(count)]
        services = [await stack.enter_async_context(service) for service in made]
        yield Rig(clock, services, phone, redis, redis_url, await redis.hgetall(keys.META))
