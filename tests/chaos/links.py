"""A hostile wire: what passes through it is delayed, cut, or answered with nonsense, as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

import httpx
from litestar import Litestar, Request, Response, post

from tests.harness import free_port, serving

_SLOW = 0.5
_GARBAGE = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"data":['
)


class Mood(StrEnum):
    """What the wire does to a connection's next answer."""

    FINE = "fine"
    DOWN = "down"
    SLOW = "slow"
    GARBAGE = "garbage"
    CUT = "cut"


@dataclass
class Wire:
    """A TCP proxy in front of Telnyx."""

    target: int
    port: int
    mood: Mood = Mood.FINE
    _carried: set[asyncio.Task[None]] = field(default_factory=set)

    def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)

    async def end(self) -> None:
        """Nothing is carried any more."""
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if self.mood is not Mood.DOWN:
                    away, back = await asyncio.open_connection("127.0.0.1", self.target)
                    there = asyncio.create_task(self._there(reader, back))
                    try:
                        await self._back(away, writer)
                    finally:
                        there.cancel()
                        back.close()
        finally:
            writer.close()

    async def _there(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                back.write(data)
            back.close()

    async def _back(self, away: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await away.read(65_536):
            match self.mood:
                case Mood.DOWN:
                    return
                case Mood.GARBAGE:
                    writer.write(_GARBAGE)
                    return
                case Mood.CUT:
                    writer.write(data[: len(data) // 2])
                    return
                case Mood.SLOW:
                    await asyncio.sleep(_SLOW)
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def wired(target: int) -> AsyncIterator[Wire]:
    wire = Wire(target, free_port())
    server = await asyncio.start_server(wire.carry, "127.0.0.1", wire.port)
    try:
        yield wire
    finally:
        server.close()
        await wire.end()


@dataclass
class Post:
    """Takes webhooks for the service, and loses, doubles or keeps them back; a later one overtakes those."""

    target: str
    port: int
    random: Random
    is_hostile: bool = False
    kept: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    async def take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        letter = (path, body, headers)
        fate = (
            self.random.choice(["lost", "doubled", "kept", "fine"]) if self.is_hostile else "fine"
        )
        if fate == "kept":
            self.kept.append(letter)
        for _ in range({"lost": 0, "kept": 0, "doubled": 2}.get(fate, 1)):
            await self._bring(letter)

    async def bring_kept(self) -> None:
        """The last one first."""
        while self.kept:
            await self._bring(self.kept.pop())

    async def _bring(self, letter: tuple[str, bytes, dict[str, str]]) -> None:
        path, body, headers = letter
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.post(self.target + path, content=body, headers=headers)


@asynccontextmanager
async def posted(target: str, random: Random) -> AsyncIterator[Post]:
    office = Post(target, free_port(), random)

    @post("/{path:path}", status_code=200)
    async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
        kept = ("telnyx-signature-ed25519", "telnyx-timestamp", "content-type")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        await office.take(request.url.path, await request.body(), headers)
        return Response(b"{}", media_type="application/json")

    app = Litestar([take], openapi_config=None, logging_config=None)
    async with serving(app, office.port):
        yield office
