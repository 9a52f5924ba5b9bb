"""A process dies at every await of ``advance``, before and after what it awaited; another goes on."""

import itertools
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.app import Role, Service, build
from service.clock import ManualClock
from service.domain.errors import CountersignError
from service.domain.recipient import parse_recipient
from service.flow.start import StartRequest
from service.sandbox.app import build as build_sandbox
from service.store import keys
from tests.chaos.checker import violations
from tests.chaos.record import sent, trail
from tests.chaos.watched import Crash, watch
from tests.harness import client, free_port, make_settings, sandbox_config, serving

PLOTS = {
    "0111": "the first message fails, the next ones too",
    "0001": "the first arrives",
    "0103": "no report comes",
    "0105": "Telnyx knows of a STOP",
    "0106": "no number for texts",
    "0107": "Telnyx is busy, twice",
    "0108": "the answer to the POST is lost",
}
_MOST_POLLS = 100
_FEWEST_PLACES = 5


class LeapingClock(ManualClock):
    """Who sleeps on it moves it."""

    async def sleep(self, milliseconds: int) -> None:
        self.move(milliseconds)


@dataclass
class Death:
    """Comes at the ``at``-th place, before or after what is awaited there, and once."""

    at: int
    is_before: bool
    places: list[str] = field(default_factory=list)

    async def may_come(self, place: str) -> None:
        self.places.append(place)
        if len(self.places) == self.at:
            raise Crash(place)

    @property
    def came(self) -> bool:
        return len(self.places) >= self.at

    def __str__(self) -> str:
        where = self.places[self.at - 1] if self.came else "no place"
        return f"dead {'before' if self.is_before else 'after'} {where}"


@dataclass
class Rig:
    """Two processes' services over one store and one sandbox: ``dying`` meets a death where one is set, and
    ``heir`` goes on. They are built once; of what the first held in memory, the other never knows."""

    clock: ManualClock
    dying: Service
    heir: Service
    phone: httpx.AsyncClient
    redis: Redis
    url: str
    meta: Any
    death: Death | None = None

    async def clean(self) -> None:
        """An empty store, but for the key that both services opened."""
        await self.redis.flushall()
        await self.redis.hset(keys.META, mapping=self.meta)

    async def before(self, place: str) -> None:
        if self.death and self.death.is_before:
            await self.death.may_come(place)

    async def after(self, place: str) -> None:
        if self.death and not self.death.is_before:
            await self.death.may_come(place)


@pytest.fixture(scope="module")
async def _rig(valkey: str) -> AsyncIterator[Rig]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Reports are lost: nobody listens where they go. What became of a message, Telnyx is asked.
    settings = make_settings(valkey, free_port(), url, {})
    config = replace(sandbox_config(), report_delay=0.0)
    clock = LeapingClock(time.time_ns() // 1_000_000)
    async with Redis.from_url(valkey, decode_responses=True) as redis:
        await redis.flushall()
        async with (
            serving(build_sandbox(config), port),
            client(url) as phone,
            build(settings, Role.API, clock) as dying,
            build(settings, Role.API, clock) as heir,
        ):
            meta = await redis.hgetall(keys.META)
            rig = Rig(clock, dying, heir, phone, redis, valkey, meta)
            watch(dying.advance, before=rig.before, after=rig.after)
            yield rig


@pytest.fixture
async def rig(redis: Redis, _rig: Rig) -> Rig:
    return _rig


async def _due(redis: Redis) -> int | None:
    """When the only verification is due next."""
    for partition in range(keys.PARTITIONS):
        if found := await redis.zrange(f"{keys.prefix(partition)}due", 0, 0, withscores=True):
            return int(found[0][1])
    return None


async def _ask(service: Service, to: str) -> None:
    request = StartRequest(
        app="default",
        actor="key",
        recipient=parse_recipient(to),
        purpose="login",
        code_length=6,
        ttl=300_000,
        client_ip="192.0.2.1",
    )
    with suppress(CountersignError):
        await service.api.state.parts.start(request, None)


async def _live(rig: Rig, to: str, death: Death) -> list[str]:
    """A verification from its start past its end, in a process that dies; gives what is wrong."""
    await rig.clean()
    rig.death = death
    with suppress(Crash):
        await _ask(rig.dying, to)
        await _go_on(rig, rig.dying)
    rig.death = None
    await _go_on(rig, rig.heir)
    return violations(await trail(rig.url), await sent(rig.phone, to))


async def _go_on(rig: Rig, service: Service) -> None:
    """Until nothing is due any more."""
    for _ in range(_MOST_POLLS):
        due = await _due(rig.redis)
        if due is None:
            return
        rig.clock.move(max(due - rig.clock.now(), 1))
        await service.worker.poll()
    raise AssertionError("it is due for ever")


@pytest.mark.parametrize(
    "digits", [d if d == "0001" else pytest.param(d, marks=pytest.mark.chaos) for d in PLOTS]
)
@pytest.mark.parametrize("is_before", [True, False])
async def test_a_death_at_any_await_breaks_nothing(rig: Rig, digits: str, is_before: bool) -> None:
    for at in itertools.count(1):
        death = Death(at, is_before)
        found = await _live(rig, f"+1{202 + is_before}{200 + at}{digits}", death)
        assert found == [], str(death)
        if not death.came:
            break
    assert at > _FEWEST_PLACES, PLOTS[digits]
