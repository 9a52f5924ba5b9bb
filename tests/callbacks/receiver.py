"""An app's receiver over real HTTP: it keeps what came and answers as the test says."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.harness import eventually

NEVER = 0
"""In place of a status: no answer at all."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def type(self) -> str:
        return str(self.event["type"])


@dataclass(slots=True)
class Receiver:
    """``answers``: statuses (with header lines, if any) to give in turn, then 204."""

    port: int
    hooks: list[Hook] = field(default_factory=list)
    answers: list[int | tuple[int, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    body: bytes = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?of=shop"

    @property
    def types(self) -> list[str]:
        return [hook.type for hook in self.hooks]

    async def until(self, count: int) -> list[Hook]:
        async def came() -> bool:
            return len(self.hooks) >= count

        await eventually(came)
        return self.hooks

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # The sender has hung up.
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        raw = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head[1:] if line}
        body = await reader.readexactly(int(headers["content-length"]))
        self.hooks.append(Hook(head[0].split()[1], raw, body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            given = self.answers.pop(0) if self.answers else 204
            status, lines = given if isinstance(given, tuple) else (given, "")
            if status == NEVER:
                await self.release.wait()
                return False
            length = "" if status == 204 else f"content-length: {len(self.body)}\r\n"
            writer.write(f"HTTP/1.1 {status} x\r\n{length}{lines}\r\n".encode())
            writer.write(b"" if status == 204 else self.body)
            await writer.drain()
            return True
        finally:
            self.at_once -= 1


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver(0)
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.close()
