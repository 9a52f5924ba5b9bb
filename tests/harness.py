"""A whole Countersign in the test's own process: the service over a real Valkey, and the sandbox as
Telnyx, both served over HTTP on loopback."""

import asyncio
import base64
import itertools
import os
import random
import re
import secrets
import socket
import ssl
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from litestar import Litestar
from pydantic import SecretStr

from service.app import Role, Service, build
from service.cli.serving import Site, make_server
from service.clock import Clock, SystemClock
from service.sandbox.config import SandboxConfig
from service.settings import Settings
from service.store.api_keys import ApiKeyStore, Scope
from service.store.connection import Connection
from tests import applications

UP_TOML = Path(__file__).parents[1] / "service" / "cli" / "up.toml"
KEYS = base64.b64encode(secrets.token_bytes(32)).decode()
SEED = secrets.token_bytes(32)
TELNYX_KEY = "KEY0123456789"
PATIENCE = 15.0
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the default one takes long to load
_CODE = re.compile(r"^(\d{4,10}) ")

T = TypeVar("T")


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PER_WORKER = 2_500
# Each test process has a range of its own, below what the kernel gives to clients; 10,000 above lie the
# buses of cluster nodes. A port that two of them found free would lead one's requests to the other.
_FIRST_PORT = 10_000 + _WORKER % 4 * _PER_WORKER
_PORTS = itertools.cycle(random.sample(range(_FIRST_PORT, _FIRST_PORT + _PER_WORKER), _PER_WORKER))


def free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


async def eventually(check: Callable[[], Awaitable[T]], patience: float = PATIENCE) -> T:
    """Ask again until the answer is true; the last answer otherwise fails the test."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while not (found := await check()):
        assert loop.time() < deadline, f"still {found!r} after {patience} s"
        await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def serving(app: Litestar, port: int) -> AsyncIterator[None]:
    server = make_server(Site(app, "127.0.0.1", port), app)
    task = asyncio.create_task(server.serve())

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return True

    try:
        await eventually(answers)
        yield
    finally:
        for end in app.state.get("before_stop", ()):
            end()
        server.stop()  # type: ignore[no-untyped-call]
        await task


def make_settings(redis_url: str, port: int, sandbox: str, changes: Mapping[str, Any]) -> Settings:
    """The built-in configuration with cheap hashes, over ``changes`` (section by section)."""
    values: dict[str, Any] = tomllib.loads(UP_TOML.read_text(encoding="utf-8"))
    values["hash"] = {"profile": "minimum"}
    for name, value in changes.items():
        merge = isinstance(value, Mapping) and isinstance(values.get(name), dict)
        values[name] = {**values[name], **value} if merge else value
    config = sandbox_config()
    keys = str(values.pop("keys", KEYS))
    return Settings(
        **values,
        public_url=f"http://127.0.0.1:{port}",
        telnyx_base_url=f"{sandbox}/v2",
        keys=SecretStr(keys),
        redis_url=SecretStr(redis_url),
        telnyx_api_key=SecretStr(TELNYX_KEY),
        telnyx_public_key=config.public_key,
    )


def sandbox_config(profile_webhook_url: str | None = None) -> SandboxConfig:
    return SandboxConfig(
        api_key=TELNYX_KEY,
        signing_seed=SEED,
        profile_webhook_url=profile_webhook_url,
        report_delay=0.02,
        retry_delays=(0.05, 0.1),
    )


@dataclass(frozen=True, slots=True)
class World:
    """What a test talks to: the API as an app's backend, and the sandbox as a person with a phone."""

    api: httpx.AsyncClient
    phone: httpx.AsyncClient
    service: Service
    settings: Settings

    async def start(self, to: str, **body: Any) -> dict[str, Any]:
        answer = await self.api.post("/v1/verifications", json={"to": to, **body})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def get(self, id_: str) -> dict[str, Any]:
        return dict((await self.api.get(f"/v1/verifications/{id_}")).json())

    async def verify(self, id_: str, code: str) -> httpx.Response:
        return await self.api.post(f"/v1/verifications/{id_}/verify", json={"code": code})

    async def messages(self, to: str) -> list[dict[str, Any]]:
        answer = await self.phone.get("/sandbox/messages", params={"to": to})
        return list(answer.json()["messages"])

    async def codes(self, to: str, count: int = 1) -> list[str]:
        """The codes on the phone, once there are ``count`` of them."""

        async def arrived() -> list[str]:
            found = [read_code(m["text"]) for m in await self.messages(to) if m["arrived"]]
            return found if len(found) >= count else []

        return await eventually(arrived)

    async def until(self, id_: str, check: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The verification, once ``check`` is true of it."""

        async def found() -> dict[str, Any]:
            v = await self.get(id_)
            return v if check(v) else {}

        return await eventually(found)


def read_code(text: str) -> str:
    found = _CODE.match(text)
    assert found is not None
    return found[1]


@asynccontextmanager
async def world(
    redis_url: str,
    *,
    role: Role = Role.ALL,
    clock: Clock | None = None,
    profile_webhooks: bool = True,
    **changes: Any,
) -> AsyncIterator[World]:
    """Everything, for one test."""
    port, sandbox_port = free_port(), free_port()
    sandbox = f"http://127.0.0.1:{sandbox_port}"
    settings = make_settings(redis_url, port, sandbox, changes)
    webhook = f"http://127.0.0.1:{port}/webhooks/telnyx" if profile_webhooks else None
    plain = await make_api_key(redis_url)
    async with (
        serving(applications.sandbox(sandbox_config(webhook)), sandbox_port),
        build(settings, role, clock) as service,
        serving(service.api, port),
        client(f"http://127.0.0.1:{port}", plain) as api,
        client(sandbox) as phone,
    ):
        yield World(api, phone, service, settings)


def client(url: str, api_key: str | None = None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    limits = httpx.Limits(max_connections=200)
    return httpx.AsyncClient(
        base_url=url, headers=headers, trust_env=False, verify=NO_TLS, timeout=30, limits=limits
    )


async def make_api_key(
    redis_url: str, app: str = "default", scopes: tuple[Scope, ...] = tuple(Scope)
) -> str:
    connection = await Connection.open(redis_url)
    try:
        _, plain = await ApiKeyStore(connection, SystemClock()).create(app, scopes)
    finally:
        await connection.close()
    return plain
