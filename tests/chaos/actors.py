"""Workers that stop before each await, until they are told to take the next step."""

import asyncio

from service.app import Service
from tests.chaos.watched import watch


class Actor:
    """A process's ``advance``, one step at a time: several of them interleave as a test says."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._task: asyncio.Task[None] | None = None
        self._gate: asyncio.Future[None] | None = None
        self._stopped = asyncio.Event()
        watch(service.advance, before=self._before)

    async def step(self, id_: str) -> None:
        """To the next await; who has nothing under way begins to advance ``id_``."""
        self._stopped.clear()
        if self._gate is not None:
            self._gate.set_result(None)
        else:
            self._task = asyncio.create_task(self._advance(id_))
        await self._stopped.wait()
        if self._gate is None and self._task is not None:
            self._task.result()

    async def die(self) -> None:
        """At the await where it stands."""
        if self._gate is not None and self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def finish(self) -> None:
        while self._gate is not None:
            await self.step("")

    async def _advance(self, id_: str) -> None:
        try:
            await self.service.advance(id_)
        finally:
            self._gate = None
            self._stopped.set()

    async def _before(self, _: str) -> None:
        self._gate = asyncio.get_running_loop().create_future()
        self._stopped.set()
        await self._gate
