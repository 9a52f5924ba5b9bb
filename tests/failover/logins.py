"""People who log in one after the other while servers are killed and slots move."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from tests.failover.servers import until
from tests.harness import World, eventually, read_code

PEOPLE = 8
LIMITS: dict[str, Any] = {"recipient": [], "client_ip": [], "prefix": [], "app": []}
BUDGET = 6.0
"""Seconds: a start makes a few round trips, of which one may hang until it is given up."""
_AREAS = (202, 212, 213, 305, 312, 404, 415, 503, 602, 617, 702, 713)
SENDERS = {"short": {"kind": "short_code", "from": "12345", "report_timeout": 2}}
SOON = 10.0
"""Seconds from a promotion until all that was due meanwhile has moved."""
SILENT = [f"+1{area}5550103" for area in _AREAS]
"""Numbers whose first message gets no report, so that the worker sends a second."""


@dataclass
class Logins:
    """``slowest``: seconds that one request took; ``approved``: ids with the code that was right."""

    app: World
    answers: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    approved: dict[str, str] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; each login that was begun is finished first."""
        await asyncio.gather(*(self._person(stop) for _ in range(PEOPLE)))

    async def _person(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            to = self._number()
            answer = await self._asked("POST", "/v1/verifications", {"to": to})
            if answer.status_code == 201:
                await self._finish(to, answer.json()["id"])
            else:
                await asyncio.sleep(0.1)

    def _number(self) -> str:
        """Another each time: a start that got a 503 may have sent its message all the same."""
        number = next(self._numbers)
        return f"+1{_AREAS[number % len(_AREAS)]}555{2000 + number // len(_AREAS):04d}"

    async def _finish(self, to: str, id_: str) -> None:
        code = await self._code(to)
        refused_before = self.answers[503]
        answer = await self._verified(id_, code)
        # After a 503 the code may have been taken all the same; the record then says so.
        if answer.status_code == 200:
            assert answer.json()["approved"], answer.text
        else:
            assert answer.json()["status"] == "approved", answer.text
            assert self.answers[503] > refused_before
        assert id_ not in self.approved
        self.approved[id_] = code

    async def _code(self, to: str) -> str:
        async def arrived() -> list[str]:
            return [m["text"] for m in await self.app.messages(to) if m["arrived"]]

        texts = await eventually(arrived)
        assert len(texts) == len(set(texts)), f"a code was sent twice to {to}"
        return read_code(texts[-1])

    async def _verified(self, id_: str, code: str) -> httpx.Response:
        while True:
            answer = await self._asked("POST", f"/v1/verifications/{id_}/verify", {"code": code})
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.1)

    async def _asked(
        self, method: str, path: str, body: dict[str, str] | None = None
    ) -> httpx.Response:
        began = time.monotonic()
        answer = await self.app.api.request(method, path, json=body)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.answers[answer.status_code] += 1
        assert answer.status_code in (200, 201, 409, 503), answer.text
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
        return answer

    async def check(self) -> None:
        """What must be true at the end."""
        assert set(self.answers) <= {200, 201, 409, 503}
        assert self.slowest < BUDGET
        for id_, code in self.approved.items():
            again = await self._verified(id_, code)
            assert again.status_code == 409, f"{id_} was approved twice: {again.text}"


async def go_on(app: World, kill: Callable[[], None], is_promoted: Callable[[], bool]) -> str:
    """Logs people in, kills a server under them, and sees that all moves again; gives the figures."""
    logins, stop = Logins(app), asyncio.Event()
    running = asyncio.create_task(logins.run(stop))
    await asyncio.sleep(1)
    pending = [(await app.start(number))["id"] for number in SILENT]
    before = len(logins.approved)
    kill()
    killed = time.monotonic()
    await asyncio.to_thread(until, is_promoted)
    promoted = time.monotonic()
    for id_ in pending:
        await eventually(partial(_fell_back, app, id_))
    moved = time.monotonic()
    assert moved - promoted < SOON
    after = len(logins.approved)
    await eventually(partial(_are_more, logins, running, after + 50))
    stop.set()
    await running
    await logins.check()
    return (
        f"promoted {promoted - killed:.1f} s after the kill, all pending moved {moved - promoted:.1f} s "
        f"later; {before} logins before, {len(logins.approved)} in all; "
        f"answers {dict(logins.answers)}, the slowest {logins.slowest:.2f} s"
    )


async def _fell_back(app: World, id_: str) -> bool:
    """The worker has sent a second message."""
    answer = await app.api.get(f"/v1/verifications/{id_}")
    return answer.status_code == 200 and len(answer.json()["deliveries"]) > 1


async def _are_more(logins: Logins, running: "asyncio.Task[None]", approved: int) -> bool:
    if running.done():
        await running  # for its failure
    return len(logins.approved) >= approved
