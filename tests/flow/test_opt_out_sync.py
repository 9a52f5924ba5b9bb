"""Telnyx's list and ours come together, whatever happens to either meanwhile."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from service.domain.opt_out_scope import Rule, Scopes
from service.store import keys
from service.store.opt_out_sync import Counts, LostSyncError, OptOutSyncStore, Run
from service.store.recipients import OptOut
from service.store.scripts import Scripts
from service.telnyx.resources import OptOutItem, Page
from tests.flow.syncing import RING, Syncing, numbers, syncing

PROFILE = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
async def _shared(valkey: str) -> AsyncIterator[Syncing]:
    async with syncing(valkey) as found:
        yield found


@pytest.fixture
async def at(_shared: Syncing, redis: Redis) -> Syncing:
    """Both lists empty."""
    _shared.forget()
    return _shared


def _id(number: str) -> str:
    return RING.lookup_id(number)


class Killed(BaseException):
    """As a signal: nothing after it runs."""


async def test_what_telnyx_has_is_recorded_once_with_an_event(at: Syncing) -> None:
    await at.fill(numbers=numbers(7))
    counts = await at.sync(page_size=3)()
    assert counts == Counts(rows=7, recorded=7)
    ours = await at.ours()
    assert {entry.source for entry in ours} == {"telnyx"}
    assert {entry.masked for entry in ours} <= {f"+1********0{n}" for n in range(7)}
    assert await at.sync(page_size=3)() == Counts(rows=7, known=7)
    events = await at.events("opt_out.recorded")
    assert Counter([event["recipient"] for event in events]) == {
        await at.person(n): 1 for n in numbers(7)
    }


async def test_a_row_that_names_no_phone_is_skipped_and_counted(at: Syncing) -> None:
    await at.fill(numbers=numbers(2))
    plain = at.account.list_opt_outs

    async def redacted(**how: Any) -> Page[OptOutItem]:
        page = await plain(**how)
        shown = page.items[0].model_copy(update={"to": "+1202555****"})
        return replace(page, items=[shown, *page.items[1:]])

    at.account.list_opt_outs = redacted  # type: ignore[method-assign]
    assert await at.sync()() == Counts(rows=2, recorded=1, skipped=1)


async def test_ours_that_telnyx_lacks_stay_and_are_counted(at: Syncing) -> None:
    await at.fill(numbers=numbers(1))
    for number, source in (("+12025550150", "api"), ("+12025550151", "inbound")):
        entry = OptOut("+1********50", at.clock.now(), source)
        await at.recipients.opt_out(_id(number), entry, actor="key")
    for _ in range(4):
        counts = await at.sync()()
        assert counts is not None
        assert (counts.only_here, counts.lifted) == (2, 0)
    assert len(await at.ours()) == 3


async def test_what_telnyx_dropped_is_lifted_after_two_complete_looks(at: Syncing) -> None:
    gone, stays = numbers(2)
    await at.fill(numbers=[gone, stays])
    await at.sync()()
    await at.start(gone)
    assert (await at.sync()()) == Counts(rows=1, known=1, only_here=1)
    assert len(await at.ours()) == 2
    assert (await at.sync()()) == Counts(rows=1, known=1, lifted=1)
    lifted = await at.events("opt_out.lifted")
    assert [event["recipient"] for event in lifted] == [await at.person(gone)]
    assert await at.recipients.get_opt_out(_id(gone), ["*"]) is None
    assert await at.recipients.get_opt_out(_id(stays), ["*"])


async def test_what_a_person_or_app_said_too_is_never_lifted(at: Syncing) -> None:
    """Nor what a refused send said: it was never on the list, so it cannot be missed there."""
    person, app, refused, other = numbers(4)
    await at.fill(numbers=[person, app, other])
    await at.sync()()
    for number, source in ((person, "inbound"), (app, "api"), (refused, "telnyx")):
        entry = OptOut("+1********00", at.clock.now(), source)
        await at.recipients.opt_out(_id(number), entry, actor="x")
    await at.start(person)
    await at.start(app)
    for _ in range(3):
        await at.sync()()
    assert len(await at.ours()) == 4


async def test_an_empty_list_lifts_nothing(at: Syncing) -> None:
    (number,) = numbers(1)
    await at.fill(numbers=[number])
    await at.sync()()
    await at.start(number)
    for _ in range(4):
        assert await at.sync()() == Counts(only_here=1)
    assert not await at.sync().is_due(3_600_000)


async def test_a_row_counts_for_its_profile_where_that_is_the_scope(at: Syncing) -> None:
    await at.fill(numbers=numbers(1))
    await at.sync(scopes=Scopes(Rule.MESSAGING_PROFILE))()
    assert [entry.scope for entry in await at.ours()] == [f"profile:{PROFILE}"]


@pytest.mark.parametrize("seed", range(8))
async def test_none_is_lost_while_the_list_shrinks_and_grows(at: Syncing, seed: int) -> None:
    """People take their STOP back, and others write one, between any two pages."""
    rows, chance = numbers(30), random.Random(seed)
    await at.fill(numbers=rows)
    gone: set[str] = set()

    async def change(_: int) -> None:
        if chance.random() < 0.7:
            for number in chance.sample(sorted(set(rows) - gone), chance.randint(1, 4)):
                await at.start(number)
                gone.add(number)
                if len(gone) > 18:
                    at.account.before = None
        await at.fill(numbers=numbers(1, first=100 + chance.randint(0, 800)))

    at.account.before = change
    assert await at.sync(page_size=4)() is not None
    found = {number for number in rows if await at.recipients.get_opt_out(_id(number), ["*"])}
    assert set(rows) - gone <= found


async def test_a_list_is_synced_after_kills_a_page_at_a_time(at: Syncing) -> None:
    count, pages = 2_000, 8
    await at.fill(count=count)
    deaths = sorted(random.sample(range(2, pages + 1), 3))
    read: list[int] = []
    held: list[int] = []

    async def kill(page: int) -> None:
        if deaths and page == deaths[0]:
            deaths.pop(0)
            raise Killed

    def look(run: Run) -> None:
        read.append(run.page - 1)
        held.append(sum(isinstance(one, OptOutItem | OptOut) for one in gc.get_objects()))

    at.account.before = kill
    for _ in range(3):
        with pytest.raises(Killed):
            await at.sync()(look)
    assert await at.sync()(look) == Counts(rows=count, recorded=count)
    # Each page was read once: a run goes on where the one before died; the last look is the summary.
    assert read == [*range(1, pages + 1), pages]
    # A page's rows and entries, and what a traceback still holds of one; all would be 4,000.
    assert max(held) <= 4 * 250
    assert len(await at.ours()) == count
    events = Counter(event["recipient"] for event in await at.events("opt_out.recorded"))
    assert len(events) == count
    assert set(events.values()) == {1}


async def test_a_process_that_died_leaves_its_lease_for_a_while_and_its_run_for_good(
    at: Syncing, redis: Redis
) -> None:
    await at.fill(numbers=numbers(6))
    store = OptOutSyncStore(at.connection, Scripts(at.connection))
    dead = await store.take()
    assert dead is not None
    assert await at.sync()() is None
    await redis.delete(keys.SYNC_LEASE)  # as its TTL does
    assert await at.sync(page_size=2)() == Counts(rows=6, recorded=6)
    # The one that was only slow, not dead, can no longer change what the other did.
    with pytest.raises(LostSyncError):
        await store.save(dead, dead.state)
    assert (await store.state()).run is None


async def test_two_processes_share_one_run(at: Syncing) -> None:
    await at.fill(numbers=numbers(40))
    done = [counts for counts in await asyncio.gather(*(at.sync(4)() for _ in range(4))) if counts]
    assert done == [Counts(rows=40, recorded=40)]


async def test_it_is_due_by_its_interval_over_all_processes(at: Syncing) -> None:
    await at.fill(numbers=numbers(1))
    assert await at.sync().is_due(3_600_000)
    await at.sync()()
    assert not await at.sync().is_due(3_600_000)
    assert await at.sync().is_due(0)


def test_a_run_begins_with_nothing_read() -> None:
    assert Run(began=1) == Run(1, 1, 0, Counts())
