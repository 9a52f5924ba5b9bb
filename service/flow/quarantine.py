"""Quarantine: one process looks at what became of messages, and says which senders are tried last."""

import structlog

from service.clock import Clock
from service.domain.audit import of_quarantine
from service.domain.quarantine import Change, QuarantinePolicy, Watch, totals_of
from service.domain.stats import TOGETHER
from service.flow.ordering import Figures
from service.store.quarantines import QuarantineStore
from service.telemetry import Metrics

log = structlog.get_logger(__name__)


class Quarantine:
    """Judges senders, by country."""

    def __init__(
        self,
        *,
        store: QuarantineStore,
        figures: Figures,
        policy: QuarantinePolicy,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._figures = figures
        self._watch = Watch(policy)
        self._clock = clock
        self._metrics = metrics

    async def __call__(self) -> int:
        """Look once; gives how many quarantines began or ended. Nothing if another process is at it.

        Raises:
            UnavailableError: the store does not answer.
        """
        if not await self._store.lead.take():
            return 0
        now, figures = self._clock.now(), await self._figures.read()
        totals = totals_of(figures[TOGETHER])
        changes = self._watch.look(now, totals, await self._store.all())
        return sum([await self._change(change, now) for change in changes])

    async def _change(self, change: Change, now: int) -> bool:
        if not await self._store.change(change, of_quarantine(change, now)):
            return False
        word = "returned" if change.now is None else "quarantined"
        self._metrics.quarantine(word)
        log.warning(
            "sender.judged", change=word, country=change.where.country, sender=change.where.sender
        )
        return True
