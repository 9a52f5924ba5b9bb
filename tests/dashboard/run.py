"""What a dashboard has to show: a real run against the sandbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from redis.asyncio import Redis

from service.store.api_keys import Scope
from tests.harness import World, client, eventually, make_api_key, world

FELL_BACK, STOPPED = "+12025550100", "+12025550177"
PUMPED = "+4477009004"
GUARD = {
    "pumping": {
        "mode": "block",
        "floors": {"run": [2, 9], "prefix": [3, 9], "client": [9, 9], "country": [50, 90], "app": [90, 300]},
    }
}  # fmt: skip
LIMITS: dict[str, list[str]] = {"recipient": [], "client_ip": [], "without_client_ip": []}


@dataclass(frozen=True, slots=True)
class Run:
    """The service with what happened; keys of an admin, of the app, of another, and one without ``audit``."""

    app: World
    admin: str
    own: str
    other: str
    weak: str
    login: str
    stopped: str

    @property
    def url(self) -> str:
        return str(self.app.api.base_url).rstrip("/")


@asynccontextmanager
async def running(valkey: str) -> AsyncIterator[Run]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    async with world(valkey, guard=GUARD, limits=LIMITS) as app:
        yield Run(
            app=app,
            admin=await make_api_key(valkey, scopes=(Scope.AUDIT, Scope.ADMIN)),
            own=await make_api_key(valkey, scopes=(Scope.AUDIT,)),
            other=await make_api_key(valkey, "other", scopes=(Scope.AUDIT,)),
            weak=await make_api_key(valkey, scopes=(Scope.VERIFICATIONS,)),
            login=await _log_in(app),
            stopped=await _stop(app),
        )


async def pump(app: World) -> None:
    """Until the guard blocks."""
    for n in range(20):
        body = {"to": f"{PUMPED}{n:02d}", "client_ip": f"198.51.100.{n}"}
        if (await app.api.post("/v1/verifications", json=body)).status_code == 403:
            return
    raise AssertionError("the guard does not block")


async def _log_in(app: World) -> str:
    """A wrong code, a message that fails, a second one, the right code."""
    started = await app.start(FELL_BACK)
    await app.verify(started["id"], "000000")
    (code,) = await app.codes(FELL_BACK)
    assert (await app.verify(started["id"], code)).json()["approved"]
    return str(started["id"])


async def _stop(app: World) -> str:
    started = await app.start(STOPPED)
    await app.codes(STOPPED)
    await app.phone.post("/sandbox/inbound", json={"from": STOPPED, "text": "STOP"})
    await app.until(started["id"], lambda v: v["status"] == "undeliverable")
    return str(started["id"])


@asynccontextmanager
async def signed_in(run: Run, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps the cookie."""
    async with client(run.url) as browser:
        answer = await browser.post("/dashboard/sign-in", data={"key": key})
        assert answer.status_code == 303, answer.text
        assert urlsplit(answer.headers["location"]).path == "/dashboard/overview"
        yield browser


async def counted(run: Run, browser: httpx.AsyncClient) -> str:
    """The overview, once statistics have followed."""

    async def shown() -> str:
        text = (await browser.get("/dashboard/overview")).text
        return text if 'class="heat"' in text else ""

    return await eventually(shown, patience=15)
