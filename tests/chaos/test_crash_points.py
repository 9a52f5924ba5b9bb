"""A process dies at every await of ``advance``, before and after what it awaited; another goes on."""

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import httpx
import pytest
from redis.asyncio import Redis

from service.app import Role, Service, build
from service.clock import ManualClock
from service.domain.errors import CountersignError
from service.domain.recipient import parse_recipient
from service.flow.start import StartRequest
from service.sandbox.app import build as build_sandbox
from service.settings import Settings
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


class LeapingClock(ManualClock):
    """Who sleeps on it moves it."""

    async def sleep(self, milliseconds: int) -> None:
        self.move(milliseconds)


@dataclass
class Death:
    """Comes at the ``at``-th place, and once."""

    at: int
    places: list[str] = field(default_factory=list)

    async def may_come(self, place: str) -> None:
        self.places.append(place)
        if len(self.places) == self.at:
            raise Crash(place)

    @property
    def came(self) -> bool:
        return len(self.places) >= self.at


@dataclass
class Rig:
    """One sandbox for all lives, and what a service of each life is built from."""

    settings: Settings
    phone: httpx.AsyncClient
    redis: Redis
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(200))

    @asynccontextmanager
    async def service(
        self, clock: ManualClock, before: Death | None, after: Death | None
    ) -> AsyncIterator[Service]:
        async with build(self.settings, Role.API, clock) as service:
            hooks = {"before": before, "after": after}
            watch(service.advance, **{name: d.may_come for name, d in hooks.items() if d})
            yield service


@pytest.fixture(scope="module")
async def _rig(valkey: str) -> AsyncIterator[Rig]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Reports are lost: nobody listens where they go. What became of a message, Telnyx is asked.
    settings = make_settings(valkey, free_port(), url, {})
    config = replace(sandbox_config(), report_delay=0.0)
    async with (
        serving(build_sandbox(config), port),
        client(url) as phone,
        Redis.from_url(valkey, decode_responses=True) as redis,
    ):
        yield Rig(settings, phone, redis)


@pytest.fixture
async def rig(_rig: Rig, redis: Redis) -> Rig:
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


Step = Callable[[Service], Awaitable[None]]


async def _live(rig: Rig, digits: str, death: Death, *, before: bool) -> list[str]:
    """A verification from its start past its end, under a process that dies once; gives what is wrong."""
    await rig.redis.flushall()
    to = f"+1202{next(rig.numbers)}{digits}"
    clock = LeapingClock(time.time_ns() // 1_000_000)
    steps: list[Step] = [lambda service: _ask(service, to)]
    for life in (death, None):
        with suppress(Crash):
            hooks = {"before": life if before else None, "after": None if before else life}
            async with rig.service(clock, **hooks) as service:
                while steps:
                    await steps.pop(0)(service)
                await _go_on(rig, service, clock)
    return violations(
        await trail(rig.settings.redis_url.get_secret_value()), await sent(rig.phone, to)
    )


async def _go_on(rig: Rig, service: Service, clock: ManualClock) -> None:
    for _ in range(_MOST_POLLS):
        due = await _due(rig.redis)
        if due is None:
            return
        clock.move(max(due - clock.now(), 1))
        await service.worker.poll()
    raise AssertionError("it is due for ever")


async def _die_everywhere(rig: Rig, digits: str) -> int:
    """At the first await, at the second, and so on until none is left; gives how many there were."""
    for before in (True, False):
        for at in itertools.count(1):
            death = Death(at)
            found = await _live(rig, digits, death, before=before)
            where = death.places[at - 1] if death.came else "no place"
            assert found == [], f"dead at {where} ({'before' if before else 'after'})"
            if not death.came:
                break
    return at - 1


@pytest.mark.parametrize(
    "digits", [d if d == "0111" else pytest.param(d, marks=pytest.mark.chaos) for d in PLOTS]
)
async def test_a_death_at_any_await_breaks_nothing(rig: Rig, digits: str) -> None:
    places = await _die_everywhere(rig, digits)
    print(places)
    assert places >= 5, PLOTS[digits]
