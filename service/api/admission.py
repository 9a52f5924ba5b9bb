"""Whom to turn away when there is more than can be done: early, cheaply, and starts before all else.

The measure is what a start has to wait for here: the event loop at each of its steps (its lag), and the store
at each of its round trips. Telnyx's own time is not in it: while that is slow, there is nothing to do here.
One long step is no overload, so what counts is the least of a while (the idea of CoDel, RFC 8289). Of the
starts such a share is refused as keeps the wait near its goal; what ends a login (verify) is refused only far
beyond, and webhooks never. Nobody is turned away while few are inside: they are not what makes them wait, as
on a machine whose other processes are busy.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from litestar.types import ASGIApp, Receive, Send

from service.api.problems import MEDIA_TYPE, problem
from service.api.surface import SECURITY_HEADERS
from service.telemetry import Metrics

GOAL = 0.3
"""Seconds that a start may wait here."""
_STEPS, _ROUND_TRIPS = 15, 5
"""How often it waits for the event loop, and for the store, measured: more often than it asks, for whoever
wakes it stands in the queue too."""
FEW = 16
"""Requests at once that are work for less than the goal."""
_FAR_BEYOND = 8
_TICK = 0.02
_WHILE = 10  # ticks
_RISE, _FALL = 0.05, 0.02
"""By how much the share changes with each tick, beyond the goal and below it."""


_BODY = problem("unavailable", "There is more to do than can be done; try again.").content
_HEADERS = [
    (b"content-type", MEDIA_TYPE.encode()),
    (b"content-length", str(len(_BODY)).encode()),
    (b"retry-after", b"1"),
    (b"cache-control", b"no-store"),
    *SECURITY_HEADERS,
]


class Kind(Enum):
    """What a request is worth when not all can be answered."""

    START = "start"
    FINISH = "finish"
    ALWAYS = "always"


def kind_of(method: str, path: str) -> Kind:
    """A login that is nearly done has cost its message already: it is finished first. What Telnyx reports,
    and what says whether we live, is always taken."""
    if method == "POST" and path in ("/v1/verifications", "/v1/notices"):
        return Kind.START
    if path.startswith("/v1/verifications/"):
        return Kind.FINISH
    if path.startswith("/v1/"):
        return Kind.START
    return Kind.ALWAYS


class Admission:
    """``store_delay``: seconds that the store's oldest question waits for its answer."""

    def __init__(self, store_delay: Callable[[], float] = lambda: 0.0) -> None:
        self._store_delay = store_delay
        self._waits: deque[float] = deque([0.0] * _WHILE, maxlen=_WHILE)
        self.share = 0.0
        self.inside = 0
        """How many requests are at work."""

    def observe(self, wait: float) -> None:
        """What a start would wait now (seconds); once in each tick."""
        self._waits.append(wait)
        step = _RISE if min(self._waits) > GOAL else -_FALL
        self.share = min(max(self.share + step, 0.0), 1.0)

    def admits(self, kind: Kind) -> bool:
        """Whether to let in one more."""
        if self.inside < FEW:
            return True
        if kind is Kind.START:
            # 0 at rest, so that nobody is turned away by chance.
            return self.share <= random.random()  # noqa: S311
        return kind is Kind.ALWAYS or min(self._waits) <= _FAR_BEYOND * GOAL

    def guard(self, app: ASGIApp, metrics: Metrics) -> ASGIApp:
        """The application, for whom it lets in; a refusal costs next to nothing."""

        async def admit(scope: Any, receive: Receive, send: Send) -> None:
            kind = kind_of(scope.get("method", ""), scope["path"])
            if kind is Kind.ALWAYS or self.admits(kind):
                self.inside += 1
                try:
                    await app(scope, receive, send)
                finally:
                    self.inside -= 1
                return
            metrics.shed(kind.value)
            await send({"type": "http.response.start", "status": 503, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": _BODY, "more_body": False})

        return admit

    async def run(self) -> None:
        """Observe this thread's event loop, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            await asyncio.sleep(_TICK)
            lag = max(loop.time() - begun - _TICK, 0.0)
            self.observe(_STEPS * lag + _ROUND_TRIPS * self._store_delay())
