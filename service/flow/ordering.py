"""The order of senders: each process keeps what it follows from, read in the background, so that a start
asks the store nothing for it but the person's last sender, beside its limits."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

from service.clock import Clock
from service.domain.app import App
from service.domain.ordering import (
    HOURS,
    Evidence,
    OrderingPolicy,
    Place,
    Why,
    as_given,
    evidence_of,
    order,
)
from service.domain.plan import Sender
from service.domain.quarantine import Quarantined
from service.domain.stats import HOUR, TOGETHER, Hours, Where, by_sender
from service.domain.stats_sums import total
from service.store.apps import AppStore
from service.store.quarantines import QuarantineStore
from service.store.scripts import Call, Reply
from service.store.senders import last_sender_call, read_last_sender
from service.store.stats import Detail, Rows, StatsStore
from service.telemetry import Metrics

T = TypeVar("T")


class Figures:
    """The counters of the last hours. What is over for an hour is read once an hour."""

    def __init__(self, stats: StatsStore, clock: Clock) -> None:
        self._stats = stats
        self._clock = clock
        self._apart: frozenset[str] = frozenset()
        self._kept: dict[int, Mapping[str, Mapping[Where, Mapping[str, int]]]] = {}

    async def read(self, apart: frozenset[str] = frozenset()) -> dict[str, Hours]:
        """Of the apps that are to stand ``apart`` each by itself, of all others ``TOGETHER``.

        Raises:
            UnavailableError: the store does not answer.
        """
        hour = self._clock.now() // HOUR
        if hour not in self._kept or apart != self._apart:
            self._kept.clear()
            self._apart = apart
        first = hour - 1 if self._kept else hour - HOURS
        wanted = range(first, hour + 1)
        found = await self._stats.hours(wanted, Detail.SENDERS)
        self._kept |= {h: _by_sender(found.get(h, {}), apart) for h in wanted}
        return {
            app: {h: of_hour.get(app, {}) for h, of_hour in self._kept.items()}
            for app in (TOGETHER, *apart)
        }


class Ordering:
    """Puts the senders of a start's plan in order."""

    def __init__(
        self,
        *,
        figures: Figures,
        apps: AppStore,
        quarantines: QuarantineStore,
        policy: OrderingPolicy,
        clock: Clock,
        metrics: Metrics,
        dice: Random | None = None,
    ) -> None:
        self._figures = figures
        self._apps = apps
        self._quarantines = quarantines
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._dice = dice or Random()  # noqa: S311 - which sender is tried is no secret
        self._evidence: Mapping[str, Mapping[str, Mapping[str, Evidence]]] = {}
        self._held: Mapping[str, Mapping[str, Quarantined]] = {}

    async def __call__(self) -> None:
        """Read anew what orders follow from.

        Raises:
            UnavailableError: the store does not answer; the last state holds on.
        """
        if self._policy.adaptive:
            apart = frozenset(d.app.id for d in await self._apps.list() if d.app.chooses_senders)
            self._evidence = {
                app: _by_country(evidence_of(hours))
                for app, hours in (await self._figures.read(apart)).items()
            }
        if self._policy.quarantine:
            held = await self._quarantines.all()
            self._held = _by_country(held)
            self._metrics.quarantined(len(held))

    def calls(self, recipient_id: str, app: str) -> list[Call]:
        """Ask for the person's last sender, to be run with whatever else a start asks of the store."""
        return [last_sender_call(recipient_id, app)] if self._policy.sticky else []

    def last_sender(self, replies: Sequence[Reply]) -> str | None:
        return read_last_sender(replies)

    def order(
        self,
        plan: tuple[Sender, ...],
        country: str,
        *,
        app: App,
        given: Why | None,
        sticky: str | None,
        explores: bool,
    ) -> tuple[Place, ...]:
        """The plan as it is to be tried. ``given``: who fixed it; ``explores``: its codes will tell
        something of the senders."""
        if given is not None:
            return as_given(plan, given)
        evidence = self._evidence.get(app.id if app.chooses_senders else TOGETHER, {})
        places = order(
            plan,
            self._policy,
            self._dice,
            now=self._clock.now(),
            evidence=evidence.get(country),
            quarantined=self._held.get(country),
            sticky=sticky,
            explores=explores,
        )
        if self._policy.is_on and places:
            self._metrics.ordered(places[0].why)
        return places

    def tell(self, places: Sequence[Place]) -> dict[str, object]:
        """What the event of a start says of its order; nothing where all are as ever."""
        if not self._policy.is_on:
            return {}
        return {"order": [place.to_members() for place in places]}


def _by_sender(
    rows: Rows, apart: frozenset[str]
) -> Mapping[str, Mapping[Where, Mapping[str, int]]]:
    return by_sender({row: total([sums]) for row, sums in rows.items()}, apart)


def _by_country(found: Mapping[Where, T]) -> dict[str, dict[str, T]]:
    by_country: dict[str, dict[str, T]] = {}
    for where, one in found.items():
        by_country.setdefault(where.country, {})[where.sender] = one
    return by_country
