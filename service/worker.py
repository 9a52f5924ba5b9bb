"""The durable backup of the one flow: whatever is due is advanced, whoever recorded it.

Workers need no coordinator: each polls every partition, and the lease lets one of them win.
"""

import asyncio
import random
from contextlib import suppress

import structlog

from service.clock import Clock, SystemClock
from service.domain.errors import UnavailableError
from service.flow.advance import Advance
from service.flow.migrating import Migrating
from service.flow.opt_out_sync import OptOutSync
from service.flow.ordering import Ordering
from service.flow.quarantine import Quarantine
from service.flow.sealing import Sealing
from service.flow.statistics import Statistics
from service.store.connection import Connection
from service.store.verifications import VerificationStore
from service.telemetry import Metrics
from service.telnyx.failures import TelnyxCallError

POLL_INTERVAL = 250
"""Milliseconds between two looks at the deadlines."""
FOLLOW_INTERVAL = 1_000
"""Milliseconds between two looks at what the trail has that is not sealed, or not counted."""
COUNT_INTERVAL_UNDER_LOAD = 3_000
"""As before, for statistics while there are many logins: a look costs less the more events it has, and counts
a login once that began and ended between two."""
_MUCH = 500  # events
MIGRATE_INTERVAL = 5_000
"""Milliseconds between two passes over what an older release may write."""
ORDER_INTERVAL = 5_000
"""Milliseconds between two looks at what the order of senders follows from."""
_MOST_AT_ONCE = 64
_CLOCK_INTERVAL = 30_000
_SYNC_LOOK = 60.0
_SKEW_WORTH_A_WARNING = 1_000

log = structlog.get_logger(__name__)


class Worker:
    """Polls the deadlines and advances what is due."""

    def __init__(
        self, store: VerificationStore, advance: Advance, clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._advance = advance
        self._clock = clock
        self._metrics = metrics

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until ``stopping`` is set; what was begun is finished first."""
        while not stopping.is_set():
            try:
                await self.poll()
            except UnavailableError:
                pass  # The connection has logged it; the next poll tries again.
            except Exception:
                log.exception("worker.failed")
            pause = POLL_INTERVAL * random.uniform(0.8, 1.2)  # noqa: S311  several workers must not march in step
            try:
                await asyncio.wait_for(stopping.wait(), pause / 1000)
            except TimeoutError:
                continue

    async def poll(self) -> int:
        """Advance all that is due now; gives how many there were."""
        now = self._clock.now()
        due = await self._store.due(now)
        self._metrics.overdue(max((now - deadline for _, deadline in due), default=0))
        waiting = iter(due)

        async def advance() -> None:
            for id_, deadline in waiting:
                self._metrics.late(now - deadline)
                try:
                    await self._advance(id_)
                except UnavailableError:
                    log.warning("worker.unavailable", verification=id_)
                except Exception:
                    # One verification that cannot be advanced must not hold up the others.
                    log.exception("worker.advance_failed", verification=id_)

        await asyncio.gather(*(advance() for _ in range(min(len(due), _MOST_AT_ONCE))))
        return len(due)


async def keep_opt_outs(sync: OptOutSync, interval: float, stopping: asyncio.Event) -> None:
    """Sync with Telnyx's list of opt-outs every ``interval`` seconds. All workers look whether it is due;
    the lease lets one of them do it, and whoever comes next goes on where one died."""
    look = min(interval, _SYNC_LOOK)
    while True:
        # The first look waits too: workers that are started together must not all ask at once.
        pause = look * random.uniform(0.5, 1)  # noqa: S311
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)
        if stopping.is_set():
            return
        try:
            if await sync.is_due(int(interval * 1000)):
                await sync()
        except UnavailableError:
            pass  # The connection has logged it.
        except TelnyxCallError as error:
            log.warning("opt_outs.not_synced", error=type(error).__name__)
        except Exception:
            log.exception("opt_outs.not_synced")


async def keep_up(
    follow: Sealing | Statistics | Ordering | Quarantine,
    stopping: asyncio.Event,
    every: int = FOLLOW_INTERVAL,
    busy: int | None = None,
) -> None:
    """Follow what happens, looking ``every`` so many milliseconds, until ``stopping`` is set; ``busy``: how
    long after a look that found much."""
    while not stopping.is_set():
        found: int | None = None
        try:
            found = await follow()
        except UnavailableError:
            pass  # The connection has logged it.
        except Exception:
            log.exception("trail.not_followed", by=type(follow).__name__)
        with suppress(TimeoutError):
            pause = busy if busy is not None and (found or 0) >= _MUCH else every
            await asyncio.wait_for(stopping.wait(), pause * random.uniform(0.8, 1.2) / 1000)  # noqa: S311


async def keep_migrating(migrating: Migrating, stopping: asyncio.Event) -> None:
    """Bring the data to this release's layout, until it is there or ``stopping`` is set."""
    while not stopping.is_set():
        try:
            if await migrating():
                return
        except UnavailableError:
            pass  # The connection has logged it.
        except Exception:
            log.exception("store.not_migrated")
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), MIGRATE_INTERVAL / 1000)


async def keep_time(clock: SystemClock, connection: Connection) -> None:
    """Correct the clock against Redis' TIME, now and then for ever."""
    while True:
        try:
            await correct_clock(clock, connection)
        except UnavailableError:
            log.warning("clock.uncorrected")
        await asyncio.sleep(_CLOCK_INTERVAL / 1000)


async def correct_clock(clock: SystemClock, connection: Connection) -> None:
    """One correction. Raises UnavailableError if Redis does not answer."""
    before = clock.now()
    server = await connection.time()
    error = clock.correct(before, server, clock.now())
    if abs(error) > _SKEW_WORTH_A_WARNING:
        log.warning("clock.skewed", milliseconds=error)
