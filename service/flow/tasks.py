"""Work that outlives the request that began it, kept track of so that a stop can wait for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from service.domain.errors import UnavailableError

SEND_BUDGET = 5_000
"""How long (milliseconds) a caller who asked for a message waits for Telnyx to accept it."""
_ANSWERED = 0.02
"""Seconds: longer than an answer takes to leave."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Tasks:
    """A set of running tasks. Nothing is lost with one that fails: its verification stays due."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def after_answer(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Begin once the caller has its answer, so that nothing of the work shows in the time it took."""

        async def later() -> None:
            await asyncio.sleep(_ANSWERED)
            await work()

        self.spawn(later())

    async def within(self, work: Coroutine[Any, Any, T], milliseconds: int) -> T | None:
        """Let the work run, and wait for it so long; it goes on after that (``None``). Raises what it
        raised."""
        task = self.spawn(work)
        await asyncio.wait({task}, timeout=milliseconds / 1000)
        return task.result() if task.done() else None

    async def drain(self, timeout: float) -> None:
        """Wait (seconds) for what runs; what is not done by then is cancelled."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=timeout)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, UnavailableError):
            log.warning("task.unavailable")
        elif error is not None:
            log.error("task.failed", error=type(error).__name__, exc_info=error)
