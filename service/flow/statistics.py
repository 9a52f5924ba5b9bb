"""Statistics follow the audit trail: seconds behind it, each event once, nothing in the way of a login."""

from collections.abc import Sequence
from typing import Any

import msgspec

from service.domain.audit import EventType
from service.domain.stats import (
    Counted,
    CountedDelivery,
    Increments,
    count,
    increments,
    of_blocked,
)
from service.domain.verification import Verification
from service.flow.pace import a_few, give_way
from service.store.keys import VERIFICATION, is_id
from service.store.stats import Change, Page, StatsStore
from service.telemetry import Metrics

_PAGES, _PAGE, _RECORDS = 4, 96, 96
"""Of how many partitions, and of each how many events, are read at once, and how many records."""
_LOGINS = 12
"""How many verifications are counted in a step: about a millisecond's work."""

_FEW, _WORTH, _PATIENCE = 10_000, 10, 10
"""Sums of as many counters are made anew at each look, of more once there is an event for each ten of them,
and in any case after so many looks."""


class Statistics:
    """Counts what happened since it last looked."""

    def __init__(self, store: StatsStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        # Whether the sums may lack something, how many events, and for how many looks; how large they were.
        self._owing, self._events, self._looks, self._fields = True, 0, _PATIENCE, 0

    async def __call__(self) -> int:
        """Count until the trail's end as it is now; gives the number of events. Nothing if another process
        is at it.

        Raises:
            UnavailableError: the store does not answer.
        """
        if not await self._store.lead.take():
            # Who leads may die between counting and summing.
            self._owing, self._looks = True, _PATIENCE
            return 0
        counted, more = 0, True
        while more and (waiting := await self._store.waiting()):
            self._owing, more = True, False
            for some in a_few(waiting, _PAGES):
                pages = await self._store.pages(some, _PAGE)
                more |= any(len(page.events) == _PAGE for page in pages)
                more |= not await self._store.count(await self._changes(pages, behind=more))
                events = sum(len(page.events) for page in pages)
                counted, self._events = counted + events, self._events + events
            await self._sum()
            await self._store.lead.take()
        if not counted:
            await self._sum()
        return counted

    async def _sum(self) -> None:
        """Bring the sums up to date, unless they are large and little is new."""
        self._looks += 1
        is_little = self._fields > _FEW + _WORTH * self._events
        if not self._owing or (is_little and self._looks < _PATIENCE):
            return
        self._fields = 0
        for hour, partitions in (await self._store.dirty()).items():
            self._fields += await self._store.sum(hour, partitions)
        self._owing, self._events, self._looks = False, 0, 0

    async def _changes(self, pages: Sequence[Page], *, behind: bool) -> list[Change]:
        changes = [Change(page, {}, {}) for page in pages]
        of = {id_: change for change in changes for id_ in _logins(change)}
        for some in a_few(of, _RECORDS):
            records = await self._store.records(list(some))
            for few in a_few(records, _LOGINS):
                for id_, fields in few.items():
                    self._add(some[id_], *self._store.load(id_, fields))
                await give_way(behind=behind)
        return changes

    def _add(self, to: Change, v: Verification, before: Counted | None) -> None:
        now = count(v)
        if now != before:
            to.counted[v.id] = now
            to.add(increments(v, before, now))
            self._tell_arrivals(v, before, now)

    def _tell_arrivals(self, v: Verification, before: Counted | None, now: Counted) -> None:
        known = before.deliveries if before is not None else ()
        for delivery, counted in zip(v.deliveries, now.deliveries, strict=True):
            was = known[delivery.number - 1] if delivery.number <= len(known) else CountedDelivery()
            if counted.arrived >= 0 > was.arrived and delivery.report is not None:
                self._metrics.delivered(max(delivery.report.at - delivery.accepted_at, 0))


class _Event(msgspec.Struct):
    """What has to be known of each event. Reading no more than that takes a seventh of the time."""

    type: str
    verification: Any = None
    test: Any = None


class _Blocked(msgspec.Struct):
    app: str
    at: int
    country: str | None = None
    rule: str = ""


_EVENT, _BLOCKED = msgspec.json.Decoder(_Event), msgspec.json.Decoder(_Blocked)


def _logins(change: Change) -> list[str]:
    """The verifications that a page's events concern; what it counts for without them is added. Test numbers
    are counted nowhere: nothing is sent to them."""
    ids = set[str]()
    for original in change.page.events:
        event = _EVENT.decode(original)
        if event.test:
            continue
        if event.type == EventType.GUARD_BLOCKED:
            change.add(_blocked(original))
        if _concerns_login(event):
            ids.add(event.verification)
    return sorted(ids)


def _concerns_login(event: _Event) -> bool:
    """Notices are not counted: nothing can be proven of them."""
    return is_id(str(event.verification), VERIFICATION)


def _blocked(original: str) -> Increments:
    event = _BLOCKED.decode(original)
    if event.country is None:
        return {}
    return of_blocked(event.app, event.country, event.rule, event.at)
