"""Whole logins over HTTP, some at once, and the same load on a bare route."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.cli.bench.people import People, Tally, at_once, numbers
from service.cli.bench.wire import Client
from service.cli.children import end, spawn
from service.domain.code import HASH_PROFILES, Code, digest_code
from tests.bench.rig import Rig
from tests.harness import free_port

AT_ONCE = 32
WARM, LENGTH = 1.0, 5.0  # seconds: those that do not count, and those that do
_MOST_REFUSED = 0.02  # of all, by a hiccup of the machine
Work = Callable[[Tally], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load: how many a second, the seconds that each took, and of each the CPU seconds of
    each part."""

    rate: float
    took: list[float]
    cpu: dict[str, float]


class Logins:
    """Logins on a rig, and their halves."""

    def __init__(self, rig: Rig, seed: int | None = None) -> None:
        self._rig = rig
        self.people = People(rig.url, rig.key, rig.text, numbers(seed))
        self._started: list[tuple[str, str]] = []

    async def whole(self, at_once: int = AT_ONCE) -> Load:
        return await self._measure(self.people.log_in, "start", "verify", count=at_once)

    async def starts(self, at_once: int = AT_ONCE) -> Load:
        async def start(tally: Tally) -> None:
            async with self.people.connection() as client:
                begun = time.perf_counter()
                self._started.append(await self.people.start(client))
                tally.took["start"].append(time.perf_counter() - begun)
            tally.done += 1

        return await self._measure(start, "start", count=at_once)

    async def verifies(self, at_once: int = AT_ONCE) -> Load:
        """Of those that ``starts`` started; those that were missing are started meanwhile, uncounted."""

        async def verify(tally: Tally) -> None:
            if not self._started:
                await asyncio.sleep(0.1)
                return
            id_, number = self._started.pop()
            code = (await self._rig.text(number))[:6]
            async with self.people.connection() as client:
                begun = time.perf_counter()
                await self.people.verify(client, id_, code)
                tally.took["verify"].append(time.perf_counter() - begun)
            tally.done += 1

        return await self._measure(verify, "verify", length=2.0, count=at_once)

    async def _measure(
        self, work: Work, *steps: str, length: float = LENGTH, count: int = AT_ONCE
    ) -> Load:
        await at_once(work, count, WARM / 2 if length < LENGTH else WARM)
        before = {part: self._rig.cpu(part) for part in self._rig.pids}
        tally = await at_once(work, count, length)
        assert sum(tally.ends.values()) <= _MOST_REFUSED * tally.began, tally.ends
        used = {p: (self._rig.cpu(p) - before[p]) / tally.done for p in self._rig.pids}
        took = [sum(each) for each in zip(*(tally.took[step] for step in steps), strict=False)]
        return Load(tally.rate, took, used)


async def bare(rig: Rig) -> float:
    """Requests a second of the least that could be done, with the same client and the same Valkey."""
    port, source = free_port(), numbers()
    url = f"http://127.0.0.1:{port}"
    child = spawn([sys.executable, "-m", "tests.bench.bare", str(port), rig.redis_url])
    clients: list[Client] = []

    async def ask(tally: Tally) -> None:
        client = clients.pop() if clients else await Client.connect(url)
        await client.ask("POST", "/", {"to": next(source)})
        clients.append(client)
        tally.done += 1

    try:
        for _ in range(200):
            try:
                (await Client.connect(url)).close()
            except OSError:
                await asyncio.sleep(0.05)
        await at_once(ask, AT_ONCE, WARM)
        return (await at_once(ask, AT_ONCE, LENGTH)).rate
    finally:
        end(child, 5)


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
