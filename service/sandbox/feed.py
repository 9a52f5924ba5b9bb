"""What changed, for those who watch the sandbox live.

The feed hands on *that* something changed; what it is now is read when a watcher gets to it. So a slow
watcher costs a small set and no backlog, and what changed ten times meanwhile is sent once.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from enum import Enum

from service.sandbox.inbound import Inbound
from service.sandbox.messages import Message

_MOST = 500
_PAUSE = 0.05
_HEARTBEAT = 15.0


class Topic(Enum):
    """What can change besides a message or a reply."""

    EVERYTHING = "everything"
    OUTAGE = "outage"
    SCENARIOS = "scenarios"


Change = Message | Inbound | Topic


class Watcher:
    """One who watches; begins with everything, and again whenever more changed than it may hold."""

    def __init__(self) -> None:
        self._changed: dict[Change, None] = {Topic.EVERYTHING: None}
        self._wake = asyncio.Event()
        self._wake.set()
        self._ended = False

    def tell(self, change: Change) -> None:
        if len(self._changed) >= _MOST:
            self._changed = {Topic.EVERYTHING: None}
        self._changed[change] = None
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    async def batches(self) -> AsyncIterator[Collection[Change]]:
        """What changed since the last batch; an empty one after ``_HEARTBEAT`` seconds without news."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), _HEARTBEAT)
            except TimeoutError:
                yield ()
                continue
            if self._ended:
                return
            self._wake.clear()
            batch, self._changed = self._changed, {}
            yield batch
            # A burst becomes a few batches.
            await asyncio.sleep(_PAUSE)


class Feed:
    """Tells every watcher of every change, until it ends."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._ended = False

    def changed(self, change: Change) -> None:
        for watcher in self._watchers:
            watcher.tell(change)

    @contextmanager
    def watch(self) -> Iterator[Watcher]:
        watcher = Watcher()
        if self._ended:
            watcher.end()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def end(self) -> None:
        """Let all watchers go, now and from now on."""
        self._ended = True
        for watcher in self._watchers:
            watcher.end()
