"""Statistics follow the audit trail: a second behind it, each event once, nothing in the way of a login."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from service.domain.audit import EventType
from service.domain.stats import (
    Counted,
    CountedDelivery,
    Field,
    count,
    increments,
    of_blocked,
)
from service.domain.verification import Verification
from service.store.keys import VERIFICATION, is_id
from service.store.stats import Change, Page, StatsStore
from service.telemetry import Metrics


class Statistics:
    """Counts what happened since it last looked."""

    def __init__(self, store: StatsStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    async def __call__(self) -> int:
        """Count until the trail's end as it is now; gives the number of events. Nothing if another process
        is at it.

        Raises:
            UnavailableError: the store does not answer.
        """
        if not await self._store.lead.take():
            return 0
        counted = 0
        while pages := await self._store.pages():
            await self._count(pages)
            counted += sum(len(page.events) for page in pages)
            await self._store.lead.take()
        for hour, partitions in (await self._store.dirty()).items():
            await self._store.sum(hour, partitions)
        return counted

    async def _count(self, pages: list[Page]) -> None:
        events = {page.partition: _of_people(page.events) for page in pages}
        ids = {
            partition: sorted({e["verification"] for e in of_page if _concerns_login(e)})
            for partition, of_page in events.items()
        }
        found = await self._store.verifications([id_ for some in ids.values() for id_ in some])
        changes = []
        for page in pages:
            counts: Counter[Field] = Counter()
            counted = {}
            for id_ in ids[page.partition]:
                if id_ in found:
                    v, before = found[id_]
                    counted[id_] = count(v)
                    counts.update(increments(v, before, counted[id_]))
                    self._tell_arrivals(v, before, counted[id_])
            for event in events[page.partition]:
                if event["type"] == EventType.GUARD_BLOCKED and "country" in event:
                    counts.update(
                        of_blocked(
                            event["app"], event["country"], event.get("rule", ""), event["at"]
                        )
                    )
            changes.append(Change(page, counted, counts))
        await self._store.count(changes)

    def _tell_arrivals(self, v: Verification, before: Counted | None, now: Counted) -> None:
        known = before.deliveries if before is not None else ()
        for delivery, counted in zip(v.deliveries, now.deliveries, strict=True):
            was = known[delivery.number - 1] if delivery.number <= len(known) else CountedDelivery()
            if counted.arrived >= 0 > was.arrived and delivery.report is not None:
                self._metrics.delivered(max(delivery.report.at - delivery.accepted_at, 0))


def _of_people(events: Sequence[str]) -> list[dict[str, Any]]:
    """Test numbers are counted nowhere: nothing is sent to them."""
    read = [json.loads(event) for event in events]
    return [event for event in read if not event.get("test")]


def _concerns_login(event: dict[str, object]) -> bool:
    """Notices are not counted: nothing can be proven of them."""
    return is_id(str(event.get("verification", "")), VERIFICATION)
