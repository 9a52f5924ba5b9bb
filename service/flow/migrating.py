"""Migrating: a worker brings the data to this release's layout, batch by batch, behind the logins."""

import asyncio

import structlog

from service.clock import Clock
from service.domain.audit import of_migration
from service.store.connection import Connection
from service.store.migrations.state import MigrationStore
from service.store.migrations.steps import STEPS
from service.store.scripts import Scripts
from service.store.setup import LAYOUT
from service.telemetry import Metrics

PAUSE = 0.01
"""Seconds between two batches, in which logins have Redis to themselves."""

log = structlog.get_logger(__name__)


class Migrating:
    """Runs the steps that are left."""

    def __init__(
        self, connection: Connection, scripts: Scripts, clock: Clock, metrics: Metrics
    ) -> None:
        self._connection = connection
        self._scripts = scripts
        self.store = MigrationStore(connection, scripts)
        self._clock = clock
        self._metrics = metrics

    async def __call__(self) -> bool:
        """Pass once over what is left, unless another process is at it; ``True`` once nothing is left.

        Raises:
            UnavailableError: the store does not answer; whoever comes next goes on.
        """
        # Read before the pass: what is closed before it begins is whole after it.
        state = await self.store.state()
        self._metrics.layout(state.layout, is_open=not state.is_done)
        if state.is_done or not await self.store.lead.take():
            return state.is_done
        for step in STEPS:
            async for changed in step.run(self._connection, self._scripts):
                self._metrics.migrated(step.name, changed)
                if not await self.store.lead.take():
                    return False
                await asyncio.sleep(PAUSE)
        if not state.closing:
            return False
        now = self._clock.now()
        if await self.store.finish(of_migration(LAYOUT, now), now):
            log.info("store.migrated", layout=LAYOUT)
        self._metrics.layout(LAYOUT, is_open=False)
        return True
