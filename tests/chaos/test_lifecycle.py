"""The lifecycle as a state machine: people, apps and reports do what they like; two workers take their steps
in any order, stand still past their leases, or die. The two witnesses say whether all held."""

import asyncio
import itertools
import os
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from service.api.parts import Parts
from service.domain.code import Code
from service.domain.errors import CountersignError, RateLimitedError
from service.domain.verification import DeliveryStatus, Report, Status
from tests.chaos.actors import Actor
from tests.chaos.record import sent
from tests.chaos.rig import Rig, rigged
from tests.chaos.watched import Crash, watch
from tests.harness import read_code

DIGITS = ("0001", "0111", "0108")
"""Of people whose messages arrive, fail though they arrive, or are taken by Telnyx without our knowing."""
_OURS = {"sending", "rejected", "uncertain"}
PAUSES = (1, 250, 5_000, 13_000, 31_000, 3_600_000)
"""Milliseconds: within a lease (12 s), past it, past a report's timeout, and hours late."""
STATUSES = tuple(status for status in DeliveryStatus if status.value not in _OURS)

EXAMPLES = int(os.environ.get("CHAOS_EXAMPLES") or 400)

T = TypeVar("T")


class Stage:
    """What all examples share: an event loop, two workers, and the service that answers requests."""

    def __init__(self, runner: asyncio.Runner, rig: Rig) -> None:
        self._runner = runner
        self.rig = rig
        self.front, *workers = rig.services
        self.parts: Parts = self.front.api.state.parts
        self.actors = [Actor(worker) for worker in workers]
        self.dies = False
        watch(self.front.advance, before=self._may_die)
        self._people = itertools.count()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def begin(self) -> list[str]:
        """Nobody knows anything of before; gives the numbers of new people."""
        for actor in self.actors:
            await actor.die()
        await self.rig.clean()
        area, exchange = divmod(next(self._people), 700)
        return [f"+1{202 + area}{200 + exchange}{digits}" for digits in DIGITS]

    async def _may_die(self, place: str) -> None:
        if self.dies and place == "_telnyx.send":
            raise Crash(place)


class Lifecycle(RuleBasedStateMachine):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage, self.rig, self.parts = stage, stage.rig, stage.parts
        self.numbers = stage.run(stage.begin())
        self.ids: list[str] = []
        self.approved: set[str] = set()
        self.reported = 0
        self.is_any_dead = False

    @rule(person=st.integers(0, 2), dies=st.booleans())
    def start(self, person: int, dies: bool) -> None:
        """Where the process dies, it has created it, begun the first message, and not sent it."""
        self.stage.dies = dies
        self.is_any_dead |= dies
        self.stage.run(self._start(self.numbers[person]))
        self.stage.dies = False

    async def _start(self, to: str) -> None:
        with suppress(Crash):
            await self.rig.start(self.stage.front, to)
        records = [key async for key in self.rig.redis.scan_iter(match="cs:*:v:*")]
        self.ids = sorted(key.rsplit(":", 1)[-1] for key in records)

    @precondition(lambda self: self.ids)
    @rule(worker=st.integers(0, 1), choice=st.integers(0, 99), steps=st.integers(1, 4))
    def step(self, worker: int, choice: int, steps: int) -> None:
        for _ in range(steps):
            self.stage.run(self.stage.actors[worker].step(self._id(choice)))

    @rule(worker=st.integers(0, 1))
    def worker_dies(self, worker: int) -> None:
        self.is_any_dead = True
        self.stage.run(self.stage.actors[worker].die())

    @rule(pause=st.sampled_from(PAUSES))
    def time_passes(self, pause: int) -> None:
        self.rig.clock.move(pause)

    @rule(jump=st.sampled_from((1_000, 60_000, 7_200_000)))
    def clock_jumps_back(self, jump: int) -> None:
        """As far as a wrong clock may be before it is corrected, and farther."""
        self.rig.clock.move(-jump)

    @precondition(lambda self: self.ids)
    @rule(choice=st.integers(0, 99), newest=st.booleans())
    def right_code(self, choice: int, newest: bool) -> None:
        self.stage.run(self._type_in(self._id(choice), newest=newest))

    async def _type_in(self, id_: str, *, newest: bool) -> None:
        messages = [m for to in self.numbers for m in await sent(self.rig.phone, to)]
        codes = [read_code(m.text) for m in messages if m.verification == id_]
        if not codes:
            return
        v = await self.parts.facts.get(id_, "default")
        try:
            verdict = await self.parts.verify(id_, "default", Code(codes[-newest]), "key")
        except RateLimitedError:
            return
        except CountersignError:
            is_open = v.status_at(self.rig.clock.now()) is Status.PENDING
            assert not (is_open and v.attempts_remaining), "a right code was refused"
            return
        assert verdict.approved, "a right code was taken for wrong"
        assert id_ not in self.approved, "approved twice"
        self.approved.add(id_)

    @precondition(lambda self: self.ids)
    @rule(choice=st.integers(0, 99))
    def wrong_code(self, choice: int) -> None:
        with suppress(CountersignError):
            work = self.parts.verify(self._id(choice), "default", Code("xxxxxx"), "key")
            assert not self.stage.run(work).approved

    @precondition(lambda self: self.ids)
    @rule(choice=st.integers(0, 99))
    def resend(self, choice: int) -> None:
        with suppress(CountersignError):
            self.stage.run(self.parts.facts.resend(self._id(choice), "default", "key"))

    @precondition(lambda self: self.ids)
    @rule(choice=st.integers(0, 99))
    def cancel(self, choice: int) -> None:
        with suppress(CountersignError):
            self.stage.run(self.parts.facts.cancel(self._id(choice), "default", "key"))

    @rule(person=st.integers(0, 2), text=st.sampled_from(["STOP", "START"]))
    def text_arrives(self, person: int, text: str) -> None:
        self.stage.run(self.parts.facts.inbound(self.numbers[person], text))

    @precondition(lambda self: self.ids)
    @rule(
        choice=st.integers(0, 99),
        number=st.integers(1, 3),
        status=st.sampled_from(STATUSES),
        again=st.booleans(),
        late=st.sampled_from((0, 60_000, 7_200_000)),
    )
    def report(self, choice: int, number: int, status: str, again: bool, late: int) -> None:
        """In any order, doubled, hours late."""
        self.reported += not again
        self.stage.run(self._report(self._id(choice), number, status, late))

    async def _report(self, id_: str, number: int, status: str, late: int) -> None:
        v = await self.parts.facts.get(id_, "default")
        if number > len(v.deliveries):
            return
        reference = f"{id_}.{number}"
        report = Report(
            event_id=f"e{self.reported}.{number}",  # an event is about one message
            status=DeliveryStatus(status),
            at=self.rig.clock.now() - late,
            message_id="m",
        )
        ref = f"{reference}.{self.parts.keyring.tag(reference)}"
        await self.parts.facts.report(ref, report)
        await self.stage.front.tasks.drain(5)

    def teardown(self) -> None:
        self.stage.run(self._end())

    async def _end(self) -> None:
        for actor in self.stage.actors:
            await actor.finish()
        await self.stage.front.tasks.drain(5)
        await self.rig.go_on(self.stage.front)
        found = await self.rig.violations(*self.numbers, nobody_died=not self.is_any_dead)
        assert found == []

    def _id(self, choice: int) -> str:
        return self.ids[choice % len(self.ids)]


@pytest.mark.parametrize(
    ("examples", "steps"), [(6, 25), pytest.param(EXAMPLES, 40, marks=pytest.mark.chaos)]
)
@pytest.mark.timeout(1_800)
def test_whatever_happens_in_whatever_order(valkey: str, examples: int, steps: int) -> None:
    with asyncio.Runner() as runner:
        context = rigged(valkey, 3)
        stage = Stage(runner, runner.run(context.__aenter__()))

        class Staged(Lifecycle):
            def __init__(self) -> None:
                super().__init__(stage)

        try:
            run_state_machine_as_test(
                Staged,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(context.__aexit__(None, None, None))
