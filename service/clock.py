"""Time, the only place that reads it: real time corrected against Redis, or a clock that tests move."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Milliseconds since the epoch, and a sleep that passes with them."""

    def now(self) -> int: ...

    async def sleep(self, milliseconds: int) -> None: ...


class SystemClock:
    """The machine's clock plus an offset, so that all processes agree with Redis' TIME."""

    def __init__(self) -> None:
        self._offset = 0

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset

    async def sleep(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)

    def correct(self, before: int, server: int, after: int) -> int:
        """Take the server's time, read between two readings of ``now``; gives the error that was
        corrected, in milliseconds."""
        error = server - (before + after) // 2
        # Within the round trip nothing can be known, and a jittering clock would be worse.
        if abs(error) > (after - before) // 2:
            self._offset += error
        return error


class ManualClock:
    """A clock that stands still until it is moved; its sleepers wake when it passes their time."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._sleepers: list[tuple[int, asyncio.Event]] = []

    def now(self) -> int:
        return self._now

    async def sleep(self, milliseconds: int) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self._now + milliseconds, woken))
        await woken.wait()

    def move(self, milliseconds: int) -> None:
        self._now += milliseconds
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]
        for _, woken in due:
            woken.set()
