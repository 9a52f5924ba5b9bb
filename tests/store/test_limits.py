"""Limits are sliding logs: exact at every instant and under concurrency, bounded, and true when they say
how long to wait."""

import asyncio
import secrets

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from service.domain.guard import Exceeded, Limit, LimitKey, Standing
from service.store.limits import LimitStore
from tests.store.stores import NOW, Stores

_windows = st.lists(st.builds(Limit, st.integers(1, 5), st.integers(1, 8)), min_size=1, max_size=3)
_steps = st.lists(st.integers(0, 3_000), min_size=1, max_size=25)


def _store(stores: Stores) -> LimitStore:
    return LimitStore(stores.connection, stores.scripts, lambda name, value: value)


def _key(*windows: Limit) -> LimitKey:
    return LimitKey("x", secrets.token_hex(16), windows)


async def _take(store: LimitStore, key: LimitKey, now: int) -> Standing | Exceeded:
    taken = await store.take([key], secrets.token_hex(8), now)
    return taken if isinstance(taken, Exceeded) else taken[0]


def _free(windows: list[Limit], accepted: list[int], now: int) -> bool:
    return all(
        sum(now - w.seconds * 1000 < at <= now for at in accepted) < w.count for w in windows
    )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(windows=_windows, steps=_steps)
async def test_it_is_what_counting_every_start_by_hand_gives(
    stores: Stores, redis: Redis, windows: list[Limit], steps: list[int]
) -> None:
    store, key = _store(stores), _key(*windows)
    accepted: list[int] = []
    now = NOW
    for step in steps:
        now += step
        taken = await _take(store, key, now)
        assert isinstance(taken, Standing) == _free(windows, accepted, now)
        if isinstance(taken, Exceeded):
            # True to the millisecond: not a moment sooner, and surely then.
            assert not _free(windows, accepted, now + taken.retry_after - 1)
            assert _free(windows, accepted, now + taken.retry_after)
            continue
        accepted.append(now)
        left = [w.count - sum(now - w.seconds * 1000 < at for at in accepted) for w in windows]
        assert taken.remaining == min(left)
        (log,) = await redis.keys(f"*{key.value}*")
        assert await redis.zcard(log) <= max(w.count for w in windows)


async def test_a_burst_at_a_windows_edge_does_not_pass(stores: Stores) -> None:
    store, key = _store(stores), _key(Limit(3, 10))
    for at in (9_000, 9_500, 9_999):
        assert isinstance(await _take(store, key, NOW + at), Standing)
    # A counter that begins anew with each window would let three more pass here.
    assert isinstance(await _take(store, key, NOW + 10_001), Exceeded)
    assert isinstance(await _take(store, key, NOW + 19_000), Standing)


async def test_parallel_starts_never_pass_a_limit_together(stores: Stores) -> None:
    store, key = _store(stores), _key(Limit(7, 600))
    taken = await asyncio.gather(*(_take(store, key, NOW) for _ in range(100)))
    assert sum(isinstance(one, Standing) for one in taken) == 7


async def test_a_start_that_is_tried_again_counts_once(stores: Stores) -> None:
    store, key = _store(stores), _key(Limit(1, 600))
    for at in (NOW, NOW + 5_000):
        taken = await store.take([key], "ver", at)
        assert isinstance(taken, tuple)
        assert taken[0].remaining == 0
    assert isinstance(await store.take([key], "other", NOW + 5_000), Exceeded)


async def test_of_several_the_last_to_be_free_is_given_and_what_counted_is_given_back(
    stores: Stores, redis: Redis
) -> None:
    store = _store(stores)
    roomy, short, long = _key(Limit(9, 600)), _key(Limit(1, 10)), _key(Limit(1, 600))
    await store.take([short, long], "first", NOW)
    keys = [roomy, short, long]
    refused = await store.take(keys, "second", NOW)
    assert refused == Exceeded("x", Limit(1, 600), 600_000)
    await store.give_back(keys, "second")
    assert await redis.keys(f"*{roomy.value}*") == []
    assert isinstance(await store.take([short], "third", NOW + 1), Exceeded)
