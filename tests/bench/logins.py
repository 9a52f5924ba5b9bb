"""Whole logins over HTTP, some at once, and the same load on a bare route."""

import asyncio
import itertools
import os
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from service.cli.children import end, spawn
from service.domain.code import HASH_PROFILES, Code, digest_code
from tests.bench.rig import Rig
from tests.bench.wire import Client
from tests.harness import free_port

AT_ONCE = 32
_CODE = re.compile(r"\d{6}")
Person = Callable[[Client], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load: how many a second, the seconds that each took, and of each the CPU seconds of
    each part."""

    rate: float
    took: list[float]
    cpu: dict[str, float]


def numbers() -> Iterator[str]:
    """Numbers of ten area codes, each once."""
    areas = (202, 303, 404, 505, 606, 212, 312, 412, 512, 612)
    for n in itertools.count():
        yield f"+1{areas[n % 10]}{2_000_000 + n // 10 * 7 % 7_999_999:07d}"


class Logins:
    """Logins on a rig: start, read the text at the sink, verify."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._numbers = numbers()
        self._started: list[tuple[str, str]] = []

    async def whole(self) -> Load:
        async def person(client: Client) -> None:
            await self._verify(client, *await self._start(client))

        return await self._drive(person)

    async def starts(self) -> Load:
        async def person(client: Client) -> None:
            self._started.append(await self._start(client))

        return await self._drive(person)

    async def verifies(self) -> Load:
        """Of those that ``starts`` started, until there are none left."""

        async def person(client: Client) -> None:
            if not self._started:
                raise Exhausted
            await self._verify(client, *self._started.pop())

        return await self._drive(person)

    async def _start(self, client: Client) -> tuple[str, str]:
        number = next(self._numbers)
        n = int(number[-7:])
        body = {"to": number, "client_ip": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"}
        started = await client.ask("POST", "/v1/verifications", body, self._rig.key)
        code = _CODE.search(self._rig.texts.pop(number))
        assert code is not None
        return started["id"], code[0]

    async def _verify(self, client: Client, id_: str, code: str) -> None:
        path = f"/v1/verifications/{id_}/verify"
        assert (await client.ask("POST", path, {"code": code}, self._rig.key))["approved"]

    async def _drive(self, person: Person) -> Load:
        return await drive(self._rig.port, person, self._rig.cpu, list(self._rig.pids))


class Exhausted(Exception):  # noqa: N818 - no error
    """There is nothing left to do."""


async def bare(rig: Rig) -> Load:
    """The least that could be done, with the same client and the same Valkey."""
    port, source = free_port(), numbers()
    child = spawn([sys.executable, "-m", "tests.bench.bare", str(port), rig.redis_url])

    async def person(client: Client) -> None:
        await client.ask("POST", "/", {"to": next(source)})

    try:
        for _ in range(200):
            try:
                (await Client.connect(port)).close()
            except OSError:
                await asyncio.sleep(0.05)
        return await drive(port, person, lambda _: 0.0, [])
    finally:
        end(child, 5)


async def drive(
    port: int, person: Person, cpu: Callable[[str], float], parts: list[str], seconds: float = 5.0
) -> Load:
    """``AT_ONCE`` people for some seconds, after a second that does not count."""
    await _lap(port, person, 1.0)
    before = {part: cpu(part) for part in parts}
    begun = time.perf_counter()
    took = await _lap(port, person, seconds)
    length = time.perf_counter() - begun
    used = {part: (cpu(part) - before[part]) / len(took) for part in parts}
    return Load(len(took) / length, took, used)


async def _lap(port: int, person: Person, length: float) -> list[float]:
    took: list[float] = []
    finish = time.perf_counter() + length

    async def one() -> None:
        client = await Client.connect(port)
        with suppress(Exhausted):
            while (begun := time.perf_counter()) < finish:
                await person(client)
                took.append(time.perf_counter() - begun)
        client.close()

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return took


def raw_hashes(profile: str, seconds: float = 2.0) -> float:
    """Hashes a second that all cores together can do."""
    cost, salt = HASH_PROFILES[profile], secrets.token_bytes(16)
    threads = len(os.sched_getaffinity(0))
    finish = time.perf_counter() + seconds

    def work() -> int:
        done = 0
        while time.perf_counter() < finish:
            digest_code(Code("123456"), verification="v", pepper=b"p", salt=salt, cost=cost)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        return sum(task.result() for task in [pool.submit(work) for _ in range(threads)]) / seconds
