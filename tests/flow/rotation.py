"""Two processes of the service over one Redis and one Telnyx, restarted one by one with other keys."""

import base64
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from service.app import build
from tests import applications
from tests.harness import (
    World,
    client,
    free_port,
    make_api_key,
    make_settings,
    sandbox_config,
    serving,
)


def master_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Fleet:
    """``processes``: what a load balancer would send a request to, one or the other."""

    def __init__(self, redis_url: str, sandbox: str, api_key: str, size: int) -> None:
        self._redis_url = redis_url
        self._sandbox = sandbox
        self._api_key = api_key
        self._ports = [free_port() for _ in range(size)]
        self._stacks: list[AsyncExitStack] = [AsyncExitStack() for _ in range(size)]
        self.processes: list[World] = []

    async def run(self, at: int, ring: Sequence[str]) -> None:
        """Start a process, or start it again, with these keys (newest first)."""
        await self._stacks[at].aclose()
        port = self._ports[at]
        limits: dict[str, list[str]] = {"prefix": [], "recipient": []}
        changes = {"keys": ",".join(ring), "codes": {"ttl": 600}, "limits": limits}
        settings = make_settings(self._redis_url, port, self._sandbox, changes)
        stack = self._stacks[at]
        service = await stack.enter_async_context(build(settings))
        await stack.enter_async_context(serving(service.api, port))
        api = await stack.enter_async_context(client(f"http://127.0.0.1:{port}", self._api_key))
        phone = await stack.enter_async_context(client(self._sandbox))
        self.processes[at : at + 1] = [World(api, phone, service, settings)]

    async def roll(self, ring: Sequence[str]) -> AsyncIterator[None]:
        """Restart one after the other; the caller goes on logging in after each."""
        for at in range(len(self._ports)):
            await self.run(at, ring)
            yield

    async def close(self) -> None:
        for stack in self._stacks:
            await stack.aclose()


@asynccontextmanager
async def fleet(redis_url: str, size: int = 2) -> AsyncIterator[Fleet]:
    port = free_port()
    async with serving(applications.sandbox(sandbox_config()), port):
        running = Fleet(redis_url, f"http://127.0.0.1:{port}", await make_api_key(redis_url), size)
        try:
            yield running
        finally:
            await running.close()
