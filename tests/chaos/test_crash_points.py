"""A process dies at every await of ``advance``, and where a start is created, before and after what it
awaited; another goes on."""

import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from tests.chaos.rig import Rig, rigged
from tests.chaos.watched import Crash, Watched, watch

PLOTS = {
    "0111": "the first message fails, the next ones too",
    "0001": "the first arrives",
    "0103": "no report comes",
    "0105": "Telnyx knows of a STOP",
    "0106": "no number for texts",
    "0107": "Telnyx is busy, twice",
    "0108": "the answer to the POST is lost",
}
_FEWEST_PLACES = 5


@dataclass
class Death:
    """Comes at the ``at``-th place, before or after what is awaited there, and once."""

    at: int = 0
    is_before: bool = True
    places: list[str] = field(default_factory=list)

    async def before(self, place: str) -> None:
        if self.is_before:
            self._pass(place)

    async def after(self, place: str) -> None:
        if not self.is_before:
            self._pass(place)

    def _pass(self, place: str) -> None:
        self.places.append(place)
        if len(self.places) == self.at:
            raise Crash(place)

    def expect(self, at: int, *, is_before: bool) -> None:
        self.at, self.is_before, self.places = at, is_before, []

    @property
    def came(self) -> bool:
        return len(self.places) >= self.at

    def __str__(self) -> str:
        where = self.places[self.at - 1] if self.came else "no place"
        return f"dead {'before' if self.is_before else 'after'} {where}"


@pytest.fixture(scope="module")
async def _watched(valkey: str) -> AsyncIterator[tuple[Rig, Death]]:
    async with rigged(valkey, 2) as rig:
        death = Death()
        watch(rig.services[0].advance, before=death.before, after=death.after)
        start = rig.services[0].api.state.parts.start
        vars(start)["_store"] = Watched("start", start._store, death.before, death.after)
        yield rig, death


@pytest.fixture
async def watched(redis: Redis, _watched: tuple[Rig, Death]) -> tuple[Rig, Death]:
    return _watched


@pytest.mark.parametrize(
    "digits", [d if d == "0001" else pytest.param(d, marks=pytest.mark.chaos) for d in PLOTS]
)
@pytest.mark.parametrize("is_before", [True, False])
async def test_a_death_at_any_await_breaks_nothing(
    watched: tuple[Rig, Death], digits: str, is_before: bool
) -> None:
    rig, death = watched
    dying, heir = rig.services
    for at in itertools.count(1):
        await rig.clean()
        death.expect(at, is_before=is_before)
        to = f"+1{202 + is_before}{200 + at}{digits}"
        with suppress(Crash):
            await rig.start(dying, to)
            await rig.go_on(dying)
        await rig.go_on(heir)
        assert await rig.violations(to) == [], str(death)
        if not death.came:
            break
    assert at > _FEWEST_PLACES, PLOTS[digits]
