"""Faults on purpose, from a seeded schedule, under people who log in all the time.

``CHAOS_SEED`` repeats a run's schedule, ``CHAOS_SECONDS`` makes it longer."""

import asyncio
import itertools
import os
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.chaos.checker import violations
from tests.chaos.links import Mood
from tests.chaos.record import sent, trail
from tests.chaos.town import Process, Town, town
from tests.harness import eventually, read_code

SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))
SECONDS = float(os.environ.get("CHAOS_SECONDS") or 20)
PEOPLE = 6
DIGITS = ["0001", "0001", "0100", "0108", "0110", "0111", "0103"]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(SECONDS + 600)]


@dataclass
class Told:
    """What people were told."""

    answers: Counter[object] = field(default_factory=Counter)
    started: set[str] = field(default_factory=set)
    approved: set[str] = field(default_factory=set)

    def take(self, answer: httpx.Response) -> None:
        self.answers[answer.status_code] += 1
        assert answer.status_code in (200, 201, 403, 404, 409, 429, 503), answer.text
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1


@dataclass
class People:
    town: Town
    random: Random
    told: Told = field(default_factory=Told)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.gather(*(self._person(stop) for _ in range(PEOPLE)))

    async def _person(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            number = next(self.numbers)
            digits = self.random.choice(DIGITS)
            await self._log_in(f"+1{202 + number // 700}{200 + number % 700}{digits}")
            await asyncio.sleep(0.02)

    async def _log_in(self, to: str) -> None:
        answer = await self._ask("POST", "/v1/verifications", {"to": to})
        if answer is None or answer.status_code != 201:
            await asyncio.sleep(0.2)
            return
        id_ = answer.json()["id"]
        self.told.started.add(id_)
        path = f"/v1/verifications/{id_}/verify"
        if self.random.random() < 0.2:
            await self._ask("POST", path, {"code": "000000"})
        for _ in range(20):
            if code := await self._newest_code(to):
                answer = await self._ask("POST", path, {"code": code})
                if answer is not None and answer.status_code == 200:
                    self._take_verdict(id_, answer.json())
                    return
            await asyncio.sleep(0.2)

    def _take_verdict(self, id_: str, verdict: dict[str, Any]) -> None:
        if verdict["approved"]:
            assert id_ not in self.told.approved, f"{id_} was approved twice"
            self.told.approved.add(id_)

    async def _newest_code(self, to: str) -> str | None:
        answer = await self.town.phone.get("/sandbox/messages", params={"to": to})
        found = [m for m in answer.json()["messages"] if m["arrived"]]
        return read_code(found[-1]["text"]) if found else None

    async def _ask(self, method: str, path: str, body: Any = None) -> httpx.Response | None:
        """``None`` where the process that was asked was down, or was made to end meanwhile."""
        process = self.random.choice(self.town.answering)
        ends = process.ends
        if not await _is_up(process):
            self.told.answers["down"] += 1
            return None
        try:
            async with self.town.api(process) as api:
                answer = await api.request(method, path, json=body)
        except httpx.TransportError as error:
            if process.ends == ends:
                raise
            self.told.answers[f"ended: {type(error).__name__}"] += 1
            return None
        self.told.take(answer)
        return answer


async def _is_up(process: Process) -> bool:
    """Whether it answers: what was killed needs a moment to come back."""
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            return (await http.get(f"{process.url}/livez")).status_code == 200
        except httpx.TransportError:
            return False


class Schedule:
    """Which fault comes when, by its seed."""

    def __init__(self, town: Town, random: Random) -> None:
        self._town, self._random = town, random
        self.made: Counter[str] = Counter()
        self._faults: list[Callable[[], Awaitable[None]]] = [
            self._kill_one,
            self._stop_one,
            self._kill_store,
            self._stop_store,
            self._spoil_the_wire,
            self._spoil_the_post,
        ]

    async def run(self, seconds: float) -> None:
        """All faults in an order of the seed's, again and again until the time is over; then peace."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            for fault in self._random.sample(self._faults, len(self._faults)):
                self.made[fault.__name__.strip("_")] += 1
                await fault()
                await asyncio.sleep(self._random.uniform(0.1, 0.6))
        for process in self._town.answering:
            await process.ready()

    def _one(self) -> Process:
        return self._random.choice(self._town.answering + self._town.working)

    def _while(self) -> float:
        return self._random.uniform(0.2, 1.5)

    async def _kill_one(self) -> None:
        await self._one().kill()

    async def _stop_one(self) -> None:
        await self._one().stand_still(self._while())

    async def _kill_store(self) -> None:
        self._town.store.kill()

    async def _stop_store(self) -> None:
        await self._town.store.stand_still(self._while())

    async def _spoil_the_wire(self) -> None:
        self._town.wire.mood = self._random.choice([m for m in Mood if m is not Mood.FINE])
        await asyncio.sleep(self._while())
        self._town.wire.mood = Mood.FINE

    async def _spoil_the_post(self) -> None:
        self._town.post.is_hostile = True
        await asyncio.sleep(self._while())
        self._town.post.is_hostile = False
        await self._town.post.bring_kept()


async def test_nothing_breaks_whatever_fails(tmp_path: Path) -> None:
    random = Random(SEED)
    print(f"CHAOS_SEED={SEED}")
    async with town(tmp_path, random) as place:
        people, schedule = People(place, random), Schedule(place, random)
        stop = asyncio.Event()
        running = asyncio.create_task(people.run(stop))
        await schedule.run(SECONDS)
        before = len(people.told.approved)

        async def log_in_again() -> bool:
            if running.done():
                await running
            return len(people.told.approved) > before + 2 * PEOPLE

        await eventually(log_in_again, patience=180)
        stop.set()
        await running
        await _settle(place, people.told)
        events = await trail(place.store.server.url)
        found = violations(events, await sent(place.phone))
        print(f"{dict(schedule.made)}; answers {dict(people.told.answers)}; {len(events)} events")
    assert found == []
    told = {e["verification"] for e in events if e["type"] == "verification.approved"}
    assert people.told.approved <= told, "an approval that was told was lost"


async def _settle(place: Town, told: Told) -> None:
    """Until every delivery has come to something; what is still open then is canceled."""
    async with place.api(place.answering[0]) as api:

        async def settled() -> bool:
            for id_ in told.started - told.approved:
                found = (await api.get(f"/v1/verifications/{id_}")).json()
                if found["status"] == "pending" and any(
                    d["status"] == "sending" for d in found["deliveries"]
                ):
                    return False
            return True

        await eventually(settled, patience=120)
        open_ = {
            event["verification"]
            for event in await trail(place.store.server.url)
            if event["type"] == "verification.created"
        }
        for id_ in open_:
            await api.post(f"/v1/verifications/{id_}/cancel")
