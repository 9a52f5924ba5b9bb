"""People who log in: start, read the code, type it in."""

import asyncio
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

from service.cli.bench.wire import Client

_CODE = re.compile(r"(?<!\d)\d{4,10}(?!\d)")
_AREAS = (202, 303, 404, 505, 606, 212, 312, 412, 512, 612)
_CREATED, _DONE = 201, 200
_LOOKS, _PAUSE = 100, 0.02

T = TypeVar("T")
ReadText = Callable[[str], Awaitable[str]]
"""The last text to a number, once there is one."""


class RefusedError(Exception):
    """An answer that ends a login early: its step and its status."""


@dataclass(slots=True)
class Tally:
    """What came of a load. ``began`` counts logins, ``took`` has the seconds of each step that was done."""

    began: int = 0
    done: int = 0
    seconds: float = 0.0
    took: dict[str, list[float]] = field(default_factory=lambda: {"start": [], "verify": []})
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Logins a second that were done."""
        return self.done / self.seconds if self.seconds else 0.0


def numbers(seed: int | None = None) -> Iterator[str]:
    """Numbers of ten area codes; each once, where no seed is given."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    for n in itertools.count():
        subscriber = n // 10 * 7 % 7_999_999 if seed is None else rng.randrange(7_999_999)
        yield f"+1{_AREAS[n % 10]}{2_000_000 + subscriber:07d}"


class People:
    """Logins over some connections to one service."""

    def __init__(
        self, url: str, key: str, read_text: ReadText, source: Iterator[str] | None = None
    ) -> None:
        self._url = url
        self._key = key
        self._read_text = read_text
        self._numbers = source or numbers()
        self._idle: list[Client] = []

    async def log_in(self, tally: Tally) -> None:
        """One login, whatever becomes of it."""
        tally.began += 1
        try:
            id_, number = await self._step(tally, "start", self.start)
            code = read_code(await self._read_text(number))
            await self._step(tally, "verify", lambda client: self.verify(client, id_, code))
            tally.done += 1
        except RefusedError as error:
            tally.ends[str(error)] += 1
        except (OSError, TimeoutError) as error:
            tally.ends[type(error).__name__] += 1

    async def start(self, client: Client) -> tuple[str, str]:
        """Raises RefusedError."""
        number = next(self._numbers)
        n = int(number[-7:])
        body = {"to": number, "client_ip": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"}
        status, answer = await client.ask("POST", "/v1/verifications", body, self._key)
        if status != _CREATED:
            raise RefusedError(f"start {status}")
        return answer["id"], number

    async def verify(self, client: Client, id_: str, code: str) -> None:
        """Raises RefusedError."""
        path = f"/v1/verifications/{id_}/verify"
        status, answer = await client.ask("POST", path, {"code": code}, self._key)
        if status != _DONE or not answer["approved"]:
            raise RefusedError(f"verify {status}")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Client]:
        """One that is idle, or a new one."""
        while self._idle and self._idle[-1].is_closed:
            self._idle.pop()
        client = self._idle.pop() if self._idle else await Client.connect(self._url)
        try:
            yield client
        finally:
            if not client.is_closed:
                self._idle.append(client)

    def close(self) -> None:
        for client in self._idle:
            client.close()

    async def _step(self, tally: Tally, name: str, step: Callable[[Client], Awaitable[T]]) -> T:
        async with self.connection() as client:
            begun = time.perf_counter()
            found = await step(client)
            tally.took[name].append(time.perf_counter() - begun)
            return found


async def at_once(work: Callable[[Tally], Awaitable[None]], count: int, seconds: float) -> Tally:
    """``count`` people, each beginning again when it is done (a closed loop)."""
    tally, begun = Tally(), time.perf_counter()

    async def person() -> None:
        while time.perf_counter() - begun < seconds:
            await work(tally)

    await asyncio.gather(*(person() for _ in range(count)))
    tally.seconds = time.perf_counter() - begun
    return tally


async def at_rate(work: Callable[[Tally], Awaitable[None]], rate: float, seconds: float) -> Tally:
    """``rate`` people a second, at random instants, whoever is done or not (an open loop: it does not slow
    down with what it measures)."""
    tally, begun, due = Tally(), time.perf_counter(), 0.0
    running: set[asyncio.Task[None]] = set()
    while due < seconds:
        await asyncio.sleep(max(begun + due - time.perf_counter(), 0))
        task = asyncio.ensure_future(work(tally))
        running.add(task)
        task.add_done_callback(running.discard)
        due += random.expovariate(rate)
    tally.seconds = time.perf_counter() - begun
    await asyncio.gather(*running)
    return tally


def of_sandbox(url: str) -> ReadText:
    """Texts as the sandbox's phones have them."""
    idle: list[Client] = []

    async def read(number: str) -> str:
        client = idle.pop() if idle else await Client.connect(url)
        for _ in range(_LOOKS):
            _, answer = await client.ask("GET", f"/sandbox/messages?to={quote(number)}")
            if arrived := [one["text"] for one in answer["messages"] if one["arrived"]]:
                idle.append(client)
                return str(arrived[-1])
            await asyncio.sleep(_PAUSE)
        raise TimeoutError

    return read


def read_code(text: str) -> str:
    """The code in a text. Raises RefusedError if there is none."""
    found = _CODE.search(text)
    if found is None:
        raise RefusedError("no code in the text")
    return found[0]
