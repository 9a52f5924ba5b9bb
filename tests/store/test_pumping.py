"""The tallies in Redis are the Python ones, exact under concurrency, bounded, and blocked once."""

import asyncio
import heapq
import secrets
from hashlib import blake2s

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from service.domain.ledger import Ledger
from service.domain.pumping import Block, Dimension, PumpingPolicy, judge
from service.domain.tally import DAY, HOUR, MINUTE, Figures, Tally
from service.store import keys
from service.store.pumping import PumpingStore, Seen
from tests.store.stores import NOW, RECIPIENT, Stores
from tests.traffic import PUMPING, T0, Honest, Message

PREFIX = Dimension.PREFIX
EVENT: dict[str, object] = {"type": "guard.tripped"}
_pauses = st.one_of(
    st.integers(0, 90_000), st.integers(0, 3 * HOUR), st.integers(0, 2 * DAY), st.just(16 * DAY)
)
_steps = st.lists(
    st.tuples(_pauses, st.sampled_from(["send", "prove", "write off", "take back"])),
    min_size=1,
    max_size=25,
)


def _store(stores: Stores) -> PumpingStore:
    return PumpingStore(stores.connection, stores.scripts)


def _digest() -> dict[Dimension, str]:
    return {PREFIX: secrets.token_hex(16)}


async def _count(store: PumpingStore, digests: dict[Dimension, str], now: int = NOW) -> Seen:
    calls = store.calls(digests, RECIPIENT, "default", now)
    return store.read(digests, await store.run(calls))


async def _trip(
    store: PumpingStore, digests: dict[Dimension, str], seen: Seen, now: int = NOW
) -> bool:
    block = Block(until=now + 900_000, strikes=1, window=3600, sent=21, proven=0, threshold=20)
    return await store.trip(
        PREFIX,
        digests[PREFIX],
        block,
        epoch=seen.epochs[PREFIX],
        now=now,
        about={"country": "SE"},
        event=EVENT,
    )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=_steps, busy=st.booleans())
async def test_the_script_counts_as_the_python_does(
    stores: Stores, redis: Redis, steps: list[tuple[int, str]], busy: bool
) -> None:
    store, digests, model, now = _store(stores), _digest(), Tally(), NOW
    for _ in range(20 if busy else 0):  # so many that their sums are kept
        now += MINUTE
        await _count(store, digests, now)
        model.count(now, sent=1)
    for pause, step in steps:
        now += pause
        if step == "prove":
            model.count(now, proven=2)
            await store.prove(digests, now, 2)
        seen = await _count(store, digests, now)
        model.count(now, sent=1)
        assert seen.standings[PREFIX].figures == model.figures(now)
        if step == "write off":
            assert await _trip(store, digests, seen, now)
            model.write_off()
        elif step == "take back":
            await store.give_back(digests, seen.epochs, now)
            model.count(now, sent=-1)
    key = keys.tally(PREFIX, digests[PREFIX])
    assert await redis.hlen(key) <= 60 + 24 + 15 + 3
    assert await redis.pttl(key) > 0


async def test_a_busy_key_forgets_what_is_taken_back_in_a_later_minute(stores: Stores) -> None:
    store, digests = _store(stores), _digest()
    seen = [await _count(store, digests, NOW + n * MINUTE) for n in range(30)]
    for at in (NOW + 3 * MINUTE, NOW + 29 * MINUTE):
        await store.give_back(digests, seen[0].epochs, at)
    figures = (await _count(store, digests, NOW + 29 * MINUTE)).standings[PREFIX].figures
    assert (figures.hour.sent, figures.day.sent) == (29, 29)


async def test_the_memory_of_a_key_is_bounded(stores: Stores, redis: Redis) -> None:
    store, digests = _store(stores), _digest()
    for n in range(300):
        await store.prove(digests, NOW + n * 67 * MINUTE + n * MINUTE, 1)
    assert await redis.hlen(keys.tally(PREFIX, digests[PREFIX])) <= 99


async def test_parallel_starts_at_the_edge_each_see_their_own_count(stores: Stores) -> None:
    store, digests, policy = _store(stores), _digest(), PumpingPolicy()
    seen = await asyncio.gather(*(_count(store, digests) for _ in range(60)))
    passed = [one for one in seen if judge(one.standings, policy, NOW) is None]
    assert len(passed) == policy.floors[PREFIX][0]


async def test_a_key_trips_once_and_nothing_is_taken_back_twice(
    stores: Stores, redis: Redis
) -> None:
    store, digests = _store(stores), _digest()
    seen = [await _count(store, digests) for _ in range(30)]
    tripped = await asyncio.gather(*(_trip(store, digests, one) for one in seen[20:]))
    assert sum(tripped) == 1
    for one in seen[20:]:
        await store.give_back(digests, one.epochs, NOW)
    standing = (await _count(store, digests)).standings[PREFIX]
    assert (standing.figures.hour.sent, standing.figures.day.sent) == (1, 1)
    assert standing.block is not None
    events = await redis.xlen(f"{keys.prefix(keys.partition_of(digests[PREFIX]))}audit")
    assert events == 1


async def test_blocks_are_listed_and_released(stores: Stores, redis: Redis) -> None:
    store, digests = _store(stores), _digest()
    assert await _trip(store, digests, await _count(store, digests))
    (blocked,) = await store.blocks(NOW)
    assert blocked.name == f"prefix:{digests[PREFIX]}"
    assert (blocked.block.threshold, blocked.about) == (20, {"country": "SE"})
    assert await store.release(PREFIX, digests[PREFIX], {"type": "guard.released"})
    assert not await store.release(PREFIX, digests[PREFIX], {"type": "guard.released"})
    assert await store.blocks(NOW) == []
    assert (await _count(store, digests)).standings[PREFIX].block is None


async def test_a_block_leaves_the_list_after_its_probation(stores: Stores, redis: Redis) -> None:
    store, digests = _store(stores), _digest()
    await _trip(store, digests, await _count(store, digests))
    assert await store.blocks(NOW + 900_000 + DAY - 1)
    assert not await store.blocks(NOW + 900_000 + DAY)


async def test_who_was_approved_before_is_known(stores: Stores, redis: Redis) -> None:
    store, digests = _store(stores), _digest()
    assert not (await _count(store, digests)).known
    key = keys.RecipientKeys(RECIPIENT).known("default")
    await redis.zadd(key, {"client": NOW})
    await redis.expire(key, 60)
    seen = await _count(store, digests)
    assert seen.known
    assert seen.standings[PREFIX].figures == Figures(
        hour=seen.standings[PREFIX].figures.hour, day=seen.standings[PREFIX].figures.day
    )


async def _play(store: PumpingStore, message: Message, policy: PumpingPolicy) -> bool:
    """What ``flow/pumping.py`` does with a message, without the rest; whether it is refused."""
    digests = {name: blake2s(f"{name}{v}".encode(), digest_size=16).hexdigest()
               for name, v in message.keys.items()}  # fmt: skip
    seen = await _count(store, digests, message.at)
    suspicion = judge(seen.standings, policy, message.at)
    if suspicion is None:
        if message.proven_at is not None:
            await store.prove(digests, message.at, 1)
        return False
    name = suspicion.dimension
    if suspicion.trips:
        assert await store.trip(
            name,
            digests[name],
            suspicion.block,
            epoch=seen.epochs[name],
            now=message.at,
            about={},
            event=EVENT,
        )
    await store.give_back(digests, seen.epochs, message.at)
    return True


@pytest.mark.parametrize("shape", list(PUMPING)[:4])
async def test_the_store_stops_pumping_just_where_the_simulation_does(
    stores: Stores, redis: Redis, shape: str
) -> None:
    store, policy = _store(stores), PumpingPolicy()
    ledger, honest = Ledger(policy), Honest(seed=2, a_day=1_000)
    pumping = PUMPING[shape](2, T0 + HOUR, 110)
    stream = heapq.merge(honest.stream(T0, T0 + 2 * HOUR), pumping, key=lambda one: one.at)
    stopped = passed = 0
    for message in stream:
        refused = await _play(store, message, policy)
        assert refused == (ledger.start(message.keys, message.at) is not None)
        if not refused and message.proven_at is not None:
            ledger.prove(message.keys, message.at)
        assert not (refused and message.honest)
        stopped += refused
        passed += not refused and not message.honest
    assert stopped > 0
    assert passed <= 100
