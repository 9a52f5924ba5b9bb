"""One way to use both forms of the client, so that a test is written once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from service.client import AsyncCountersign, Countersign, Retries
from tests.harness import NO_TLS, World

FORMS = ("blocking", "asynchronous")
NO_RETRIES = Retries(tries=1)


@dataclass(frozen=True, slots=True)
class Form:
    """Calls a method by its name; what can be gone through is a list. ``asked``: all requests, with tries."""

    client: Countersign | AsyncCountersign
    asked: list[httpx.Request]

    async def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        if isinstance(self.client, Countersign):
            return await asyncio.to_thread(self._block, method, args, options)
        made = getattr(self.client, method)(*args, **options)
        return [one async for one in made] if isinstance(made, AsyncIterator) else await made

    def _block(self, method: str, args: Any, options: Any) -> Any:
        made = getattr(self.client, method)(*args, **options)
        return list(made) if isinstance(made, Iterator) else made


@asynccontextmanager
async def form(
    which: str,
    url: str,
    key: str,
    on_request: Callable[[int], None] = lambda _: None,
    **options: Any,
) -> AsyncIterator[Form]:
    """``on_request`` hears how many requests there were before each."""
    asked: list[httpx.Request] = []

    def hear(request: httpx.Request) -> None:
        on_request(len(asked))
        asked.append(request)

    async def hear_async(request: httpx.Request) -> None:
        hear(request)

    if which == "blocking":
        with (
            httpx.Client(trust_env=False, verify=NO_TLS, event_hooks={"request": [hear]}) as http,
            Countersign(url, key, http=http, **options) as client,
        ):
            yield Form(client, asked)
    else:
        async with (
            httpx.AsyncClient(
                trust_env=False, verify=NO_TLS, event_hooks={"request": [hear_async]}
            ) as http_,
            AsyncCountersign(url, key, http=http_, **options) as client_,
        ):
            yield Form(client_, asked)


def address(world: World) -> str:
    return str(world.api.base_url).rstrip("/")


def key_of(world: World) -> str:
    return world.api.headers["authorization"].removeprefix("Bearer ")
