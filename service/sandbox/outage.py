"""Telnyx away or slow for a while."""

import asyncio
from typing import Literal

Mode = Literal["down", "slow", "none"]


class Outage:
    """``mode`` is what callers meet now; it goes back to ``none`` by itself."""

    def __init__(self) -> None:
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

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.mode = "none"
        self._up.set()

    async def wait_until_up(self) -> None:
        await self._up.wait()
