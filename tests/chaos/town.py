"""Real processes on one store: two that answer, two that work, each killed, stopped and started by a test."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx

from service.cli import embedded
from tests import applications
from tests.chaos.links import Post, Wire, posted, wired
from tests.harness import (
    KEYS,
    TELNYX_KEY,
    UP_TOML,
    client,
    eventually,
    free_port,
    make_api_key,
    sandbox_config,
    serving,
)

PASSWORD = "town"
_CONFIG = """
[hash]
profile = "minimum"
"""
_LIMITS = "[limits]\nrecipient = []\nclient_ip = []\nprefix = []\napp = []\n"


@dataclass
class Process:
    """A process of the service; ``ends`` counts how often it was made to end or to stand still."""

    argv: list[str]
    env: dict[str, str]
    log: Path
    url: str | None = None
    ends: int = 0
    child: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.argv, env=self.env, stdout=log, stderr=log, process_group=0
            )

    async def ready(self) -> None:
        async def answers() -> bool:
            assert self.child.poll() is None, self.log.read_text()
            async with httpx.AsyncClient(trust_env=False) as http:
                try:
                    return (await http.get(f"{self.url}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

        if self.url is not None:
            await eventually(answers, patience=90)

    async def kill(self) -> None:
        self.ends += 1
        self.child.kill()
        await asyncio.to_thread(self.child.wait)
        self.start()

    async def stand_still(self, seconds: float) -> None:
        self.ends += 1
        self.child.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.child.send_signal(signal.SIGCONT)


@dataclass
class Store:
    """A Valkey that syncs each answer to its file, and comes back with what it told."""

    folder: Path
    port: int
    server: embedded.EmbeddedValkey = field(init=False)

    def start(self) -> None:
        self.server = embedded.start(self.folder, password=PASSWORD, port=self.port)
        self.server.wait_ready()

    def kill(self) -> None:
        self.server.process.kill()
        self.end()
        self.start()

    def end(self) -> None:
        self.server.stop()

    async def stand_still(self, seconds: float) -> None:
        self.server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.server.process.send_signal(signal.SIGCONT)


@dataclass
class Town:
    store: Store
    answering: list[Process]
    working: list[Process]
    wire: Wire
    post: Post
    phone: httpx.AsyncClient
    key: str

    def api(self, process: Process) -> httpx.AsyncClient:
        assert process.url is not None
        return client(process.url, self.key)


@asynccontextmanager
async def town(folder: Path, random: Random) -> AsyncIterator[Town]:
    config = folder / "town.toml"
    text = UP_TOML.read_text(encoding="utf-8").split("[limits]", maxsplit=1)[0]
    text = text.replace("uncertain_grace = 5", "uncertain_grace = 1")
    text = text.replace('kind = "short_code"', 'kind = "short_code"\nreport_timeout = 5')
    config.write_text(text + _LIMITS + _CONFIG, encoding="utf-8")
    store = Store(folder / "store", free_port())
    store.start()
    ports = [free_port(), free_port()]
    sandbox_port = free_port()
    async with AsyncExitStack() as stack:
        stack.callback(store.end)
        await stack.enter_async_context(
            serving(applications.sandbox(sandbox_config()), sandbox_port)
        )
        wire = await stack.enter_async_context(wired(sandbox_port))
        office = await stack.enter_async_context(posted(f"http://127.0.0.1:{ports[0]}", random))
        phone = await stack.enter_async_context(client(f"http://127.0.0.1:{sandbox_port}"))
        env = os.environ | {
            "COUNTERSIGN_KEYS": KEYS,
            "REDIS_URL": store.server.url,
            "TELNYX_API_KEY": TELNYX_KEY,
            "TELNYX_PUBLIC_KEY": sandbox_config().public_key,
            "COUNTERSIGN_PUBLIC_URL": f"http://127.0.0.1:{office.port}",
            "COUNTERSIGN_TELNYX_BASE_URL": f"http://127.0.0.1:{wire.port}/v2",
        }
        argv = [sys.executable, "-m", "service", "serve", "--config", str(config)]
        answering = [
            Process(
                [*argv, "--role", "api", "--port", str(port)],
                env, folder / f"{port}.log", f"http://127.0.0.1:{port}",
            )
            for port in ports
        ]  # fmt: skip
        working = [
            Process([*argv, "--role", "worker", "--port", str(port)], env, folder / f"w{port}.log")
            for port in (free_port(), free_port())
        ]
        for process in answering + working:
            process.start()
            stack.push_async_callback(_end, process)
        for process in answering:
            await process.ready()
        key = await make_api_key(store.server.url)
        yield Town(store, answering, working, wire, office, phone, key)


async def _end(process: Process) -> None:
    process.child.terminate()
    await asyncio.to_thread(process.child.wait, 60)
