"""What is measured: Valkey, and the service as `countersign serve` runs it, as processes of their own."""

import asyncio
import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from nacl.signing import SigningKey

from service.cli import embedded
from service.cli.bench.wire import Client
from service.cli.children import spawn
from service.cli.secrets import new_api_key, new_key
from tests.bench.wire import Sink
from tests.harness import UP_TOML, free_port

_READY, _READY_STATUS = 30.0, 200
_MESSAGE = 2.0  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Rig:
    """Where things are. ``messages``: the last one to each number, as Telnyx was asked for it, and when
    (``at``). ``seed``: what webhooks are signed with."""

    port: int
    redis_url: str
    key: str
    pids: dict[str, int]
    seed: bytes
    messages: dict[str, dict[str, str]] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    ready_after: float = 0.0
    _waiting: dict[str, "asyncio.Future[None]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def text(self, number: str) -> str:
        """The message that was sent to a number. Raises TimeoutError if none is."""
        if number not in self.messages:
            waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(_MESSAGE):
                    await waiting
            finally:
                self._waiting.pop(number, None)
        return self.messages.pop(number)["text"]

    def take(self, message: dict[str, str]) -> None:
        self.messages[message["to"]] = message
        self.at[message["to"]] = time.perf_counter()
        waiting = self._waiting.get(message["to"])
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def cpu(self, part: str) -> float:
        """Seconds of CPU that a part has used, its processes together."""
        pid = self.pids[part]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        used = 0
        for one in (str(pid), *children):
            stat = Path(f"/proc/{one}/stat").read_text(encoding="ascii")
            fields = stat.rsplit(")", 1)[1].split()
            used += int(fields[11]) + int(fields[12])
        return used / _TICKS

    def memory(self, part: str) -> float:
        """MiB that a part holds."""
        status = Path(f"/proc/{self.pids[part]}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


@asynccontextmanager
async def rig(profile: str, processes: int = 1) -> AsyncIterator[Rig]:
    """The service at an argon2 profile, with the built-in configuration but for the limits of a prefix: all
    numbers here are alike. Valkey appends to disk and syncs each second, its own default."""
    loop = asyncio.get_running_loop()
    with TemporaryDirectory() as folder:
        extra = ["appendfsync everysec"]
        valkey = embedded.start(Path(folder), password="bench", extra=extra)
        valkey.wait_ready()
        signing, found = SigningKey.generate(), cast("Rig", None)
        sink = await loop.create_server(lambda: Sink(found.take), "127.0.0.1", 0)
        telnyx, port, key = sink.sockets[0].getsockname()[1], free_port(), new_api_key()
        config = Path(folder) / "bench.toml"
        config.write_text(
            re.sub(r"(?m)^prefix = .*$", "prefix = []", UP_TOML.read_text(encoding="utf-8"))
            + f'\n[hash]\nprofile = "{profile}"\n[http]\ntrusted_proxies = "none"\n',
            encoding="utf-8",
        )
        public = bytes(signing.verify_key)
        environment = os.environ | {
            "COUNTERSIGN_KEYS": new_key(),
            "REDIS_URL": valkey.url,
            "TELNYX_API_KEY": "KEY0123456789",
            "TELNYX_PUBLIC_KEY": base64.b64encode(public).decode(),
            "COUNTERSIGN_API_KEY": key,
            "COUNTERSIGN_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "COUNTERSIGN_TELNYX_BASE_URL": f"http://127.0.0.1:{telnyx}/v2",
            "COUNTERSIGN_LOG_LEVEL": "ERROR",
        }
        argv = [sys.executable, "-m", "service", "serve", "--config", str(config)]
        argv += ["--processes", str(processes)]
        begun = time.perf_counter()
        said = Path(folder) / "service.log"
        service = spawn([*argv, "--port", str(port)], env=environment, log=said)
        found = Rig(
            port,
            valkey.url,
            key,
            {"service": service.pid, "valkey": valkey.process.pid},
            bytes(signing),
        )
        try:
            await _until_ready(port, service, said)
            found.ready_after = time.perf_counter() - begun
            yield found
        finally:
            service.terminate()
            service.wait()
            sink.close()
            valkey.stop()


async def _until_ready(port: int, service: "subprocess.Popen[bytes]", said: Path) -> None:
    deadline = time.perf_counter() + _READY
    while time.perf_counter() < deadline and service.poll() is None:
        try:
            client = await Client.connect(f"http://127.0.0.1:{port}")
            status, _ = await client.ask("GET", "/readyz")
            client.close()
        except OSError:
            status = 0
        if status == _READY_STATUS:
            return
        await asyncio.sleep(0.02)
    words = await asyncio.to_thread(said.read_text, encoding="utf-8")
    raise RuntimeError(f"the service did not become ready: {words}")
