"""Whom to turn away when there is more than can be done: early, cheaply, and starts before all else.

How many may be inside follows from how fast they are done (Little's law): as many as are done within the
goal. That is known the instant that one comes in, so nothing swings. It holds only while there is load: while
most looks at the event loop (its lag) and at the store (its oldest question) found that they keep people
waiting. One long step is no load, and neither is a Telnyx that is slow: who waits for its answer does not
count as inside. What ends a login (verify) is refused only far beyond, and webhooks never. Nobody is turned
away while few are inside: they are not what makes them wait, as on a machine whose other processes are busy.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from litestar.types import ASGIApp, Receive, Send

from service.api.problems import MEDIA_TYPE, problem
from service.api.surface import SECURITY_HEADERS
from service.telemetry import Metrics

GOAL = 0.3
"""Seconds that whoever comes in may wait here."""
LOAD = 0.1
"""Seconds that a start would wait, above which a look found load."""
_STEPS, _ROUND_TRIPS = 15, 5
"""How often a start waits for the event loop, and for the store."""
FEW = 16
"""Requests at once that are work for less than the goal."""
_FAR_BEYOND = 8
_TICK = 0.02
_WHILE, _MOST = 10, 6
"""Of how many looks how many must have found load."""
_SMOOTHED = 0.25
"""Seconds over which it is seen how many are done."""


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
    """``store_delay``: seconds that the store's oldest question waits for its answer. ``away``: how many of
    those inside wait for Telnyx."""

    def __init__(
        self,
        store_delay: Callable[[], float] = lambda: 0.0,
        away: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store_delay = store_delay
        self._away = away
        self._waits: deque[float] = deque([0.0] * _WHILE, maxlen=_WHILE)
        self._done = 0
        self._rate = 0.0
        self.inside = 0
        """How many requests are at work."""

    def observe(self, wait: float, seconds: float = _TICK) -> None:
        """What a start would wait now (seconds), and how long ago the last look was."""
        self._waits.append(wait)
        weight = min(seconds / _SMOOTHED, 1.0)
        self._rate += weight * (self._done / seconds - self._rate)
        self._done = 0

    @property
    def room(self) -> float:
        """How many may be inside."""
        is_loaded = sum(wait > LOAD for wait in self._waits) >= _MOST
        return max(GOAL * self._rate, FEW) if is_loaded else math.inf

    def admits(self, kind: Kind) -> bool:
        """Whether to let in one more."""
        if kind is Kind.ALWAYS or self.inside < FEW:
            return True
        inside = self.inside - self._away()
        return inside < self.room * (1 if kind is Kind.START else _FAR_BEYOND)

    def enter(self) -> None:
        """One is let in."""
        self.inside += 1

    def leave(self) -> None:
        """One is done."""
        self.inside -= 1
        self._done += 1

    def guard(self, app: ASGIApp, metrics: Metrics) -> ASGIApp:
        """The application, for whom it lets in; a refusal costs next to nothing."""

        async def admit(scope: Any, receive: Receive, send: Send) -> None:
            kind = kind_of(scope.get("method", ""), scope["path"])
            if kind is Kind.ALWAYS:
                await app(scope, receive, send)
                return
            if self.admits(kind):
                self.enter()
                try:
                    await app(scope, receive, send)
                finally:
                    self.leave()
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
            passed = loop.time() - begun
            lag = max(passed - _TICK, 0.0)
            self.observe(_STEPS * lag + _ROUND_TRIPS * self._store_delay(), passed)
