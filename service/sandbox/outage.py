"""Telnyx away or slow for a while."""

import asyncio
from collections.abc import Callable
from typing import Literal

Mode = Literal["down", "slow", "none"]


class Outage:
    """``mode`` is what callers meet now; it goes back to ``none`` by itself. ``changed`` is called
    whenever it changes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.mode: Mode = "none"
        self._up = asyncio.Event()
        self._up.set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, mode: Mode, seconds: float) -> None:
        """Take the place of whatever outage there is; ``none``, or no time at all, only ends it."""
        self.end()
        if mode == "none" or seconds <= 0:
            return
        self.mode = mode
        if mode == "down":
            self._up.clear()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end)
        self._changed()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.mode = "none"
        self._up.set()
        self._changed()

    @property
    def seconds_left(self) -> float:
        if self._timer is None:
            return 0.0
        return max(0.0, self._timer.when() - asyncio.get_running_loop().time())

    async def wait_until_up(self) -> None:
        await self._up.wait()
