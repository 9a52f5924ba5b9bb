"""Order, retries, dead letters and leases, under a clock that the test moves."""

import asyncio
from itertools import pairwise

import pytest
from prometheus_client import generate_latest

from service.callbacks import deliveries as module
from service.callbacks import turns
from service.callbacks.deliveries import LEASE
from service.callbacks.turns import (
    MOST_AT_ONCE,
    MOST_FOR_A_HOST,
    MOST_WAITING_FOR_A_HOST,
    Turns,
)
from service.domain.callback import LIFE, RETRIES, next_try
from service.domain.errors import UnavailableError
from service.store import callbacks as stored
from service.store.keys import CallbackKeys
from tests.callbacks.conftest import Desk
from tests.callbacks.receiver import NEVER, Receiver, receiving
from tests.harness import eventually
from tests.store.stores import NOW

HOUR = 3_600_000


def _ids(receiver: Receiver) -> list[str]:
    return [hook.id for hook in receiver.hooks]


async def test_callbacks_of_a_verification_come_in_order(desk: Desk, receiver: Receiver) -> None:
    await desk.told(receiver.url, reports=3)
    await desk.poll()
    assert receiver.types == ["delivery.accepted", *["delivery.reported"] * 3]
    events = [hook.event["data"].get("event_id") for hook in receiver.hooks]
    assert events == [None, "e0", "e1", "e2"]
    assert (await desk.callbacks.backlog()).subjects == 0


async def test_a_later_one_waits_for_the_earlier_and_others_flow_on(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.answers = [500]
    stuck = await desk.told(receiver.url, reports=1)
    await desk.poll()
    other = await desk.told(receiver.url)
    for _ in range(3):
        await desk.poll()
    told = [hook.event["data"]["verification"] for hook in receiver.hooks]
    assert told == [stuck, other]
    desk.clock.move(10_000)
    for _ in range(3):
        await desk.poll()
    assert receiver.types[2:] == ["delivery.accepted", "delivery.reported"]
    assert receiver.hooks[0].id == receiver.hooks[2].id


async def test_it_is_tried_for_a_day_and_then_dead(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [500] * 100
    id_ = await desk.told(receiver.url)
    k = CallbackKeys(int(id_[4:6]), id_)
    tries = [0]
    await desk.poll()
    while (at := await desk.stores.connection.command("ZSCORE", k.out, id_)) is not None:
        desk.clock.move(int(float(at)) - desk.clock.now() - 1)
        await desk.poll()
        assert len(receiver.hooks) == len(tries)
        desk.clock.move(1)
        await desk.poll()
        tries.append(desk.clock.now() - NOW)
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert len(waits) == len(RETRIES)
    for waited, meant in zip(waits, RETRIES, strict=True):
        assert meant * 0.9 <= waited <= meant * 1.1
    assert 20 * HOUR < tries[-1] < 32 * HOUR
    assert len(set(_ids(receiver))) == 1
    (letter,) = await desk.callbacks.dead_letters()
    assert (letter.tries, letter.answer) == (len(RETRIES) + 1, "500")


def test_the_schedule_grows_and_ends() -> None:
    first = [next_try(n, NOW, NOW, jitter=0) for n in range(1, len(RETRIES) + 1)]
    assert first == [NOW + delay for delay in RETRIES]
    assert next_try(len(RETRIES) + 1, NOW, NOW, jitter=0) is None
    early, late = (next_try(1, NOW, NOW, jitter=j) for j in (-1, 1))
    assert (early, late) == (NOW + 4_500, NOW + 5_500)


def test_what_waited_a_day_behind_another_has_a_single_try() -> None:
    assert next_try(1, NOW, NOW + LIFE, jitter=0) is None
    assert next_try(1, NOW, NOW + LIFE - 1, jitter=0) is not None


def test_retry_after_is_kept_to_within_reason() -> None:
    assert next_try(1, NOW, NOW, jitter=0, retry_after=60_000) == NOW + 60_000
    assert next_try(1, NOW, NOW, jitter=0, retry_after=10**9) == NOW + HOUR
    assert next_try(3, NOW, NOW, jitter=0, retry_after=1_000) == NOW + RETRIES[2]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_says_when_to_come_again(
    desk: Desk, receiver: Receiver, status: int
) -> None:
    receiver.answers = [(status, "retry-after: 120\r\n")]
    await desk.told(receiver.url)
    await desk.poll()
    desk.clock.move(119_000)
    await desk.poll()
    assert len(receiver.hooks) == 1
    desk.clock.move(1_000)
    await desk.poll()
    assert len(receiver.hooks) == 2


async def test_gone_is_not_asked_again_and_its_letter_can_be_sent_or_dropped(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.answers = [410, 410]
    await desk.told(receiver.url)
    await desk.told(receiver.url)
    await desk.poll()
    letters = await desk.callbacks.dead_letters()
    assert [(letter.answer, letter.tries) for letter in letters] == [("410", 1)] * 2
    desk.clock.move(40 * HOUR)  # it is old, and yet has all its tries again
    kept, dropped = letters
    assert await desk.callbacks.resend(kept, desk.clock.now())
    assert not await desk.callbacks.resend(kept, desk.clock.now())
    assert await desk.callbacks.drop(dropped.callback.id)
    assert not await desk.callbacks.drop(dropped.callback.id)
    receiver.answers = [500]
    await desk.poll()
    desk.clock.move(10_000)
    await desk.poll()
    assert _ids(receiver)[2:] == [kept.callback.id] * 2
    assert await desk.callbacks.dead_letters() == []


async def test_who_dies_between_the_post_and_its_record_leaves_it_to_be_sent_again(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object, **__: object) -> str:
        raise UnavailableError("killed here", 1)

    await desk.told(receiver.url)
    with monkeypatch.context() as patched:
        patched.setattr(stored.CallbackStore, "delivered", die)
        await desk.poll()
    await desk.poll()
    assert len(receiver.hooks) == 1
    desk.clock.move(LEASE)
    await desk.poll()
    first, again = receiver.hooks
    assert (again.id, again.body) == (first.id, first.body)
    assert again.headers["webhook-timestamp"] != first.headers["webhook-timestamp"]


async def test_who_lost_the_lease_changes_nothing(desk: Desk, receiver: Receiver) -> None:
    id_ = await desk.told(receiver.url, reports=1)
    subject = CallbackKeys(int(id_[4:6]), id_)
    slow = await desk.callbacks.claim(subject, NOW)
    assert slow is not None
    assert await desk.callbacks.claim(subject, NOW + LEASE - 1) is None
    quick = await desk.callbacks.claim(subject, NOW + LEASE)
    assert quick is not None
    assert await desk.callbacks.delivered(slow, NOW + LEASE) == "lost"
    assert await desk.callbacks.retry(slow, NOW + LEASE, NOW) == "lost"
    assert await desk.callbacks.delivered(quick, NOW + LEASE) == "more"
    following = await desk.callbacks.claim(subject, NOW + LEASE)
    assert following is not None
    assert following.callback.id != slow.callback.id
    # Its number is that of the slow one's try, but it is another callback.
    assert following.number == slow.number
    assert await desk.callbacks.bury(slow, NOW + LEASE, "late") == "lost"


async def test_two_workers_never_post_the_same_at_once(desk: Desk, receiver: Receiver) -> None:
    other = await desk.another()
    await asyncio.gather(*(desk.told(receiver.url) for _ in range(6)))
    receiver.answers = [NEVER] * 6
    await asyncio.gather(desk.deliveries.poll(), other.poll())
    await receiver.until(6)
    await asyncio.gather(desk.deliveries.poll(), other.poll())
    assert len(set(_ids(receiver))) == len(receiver.hooks) == 6
    receiver.release.set()
    await asyncio.gather(desk.deliveries.idle(), other.idle())


async def test_a_slow_receiver_holds_up_no_other(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "BATCH", 4)
    monkeypatch.setattr(turns, "MOST_WAITING_FOR_A_HOST", 4)
    async with receiving() as slow:
        slow.answers = [NEVER] * 100
        for _ in range(20):  # more than are read from their partition at once
            await desk.told(slow.url)
        await desk.told(receiver.url, created_at=NOW + 1)

        async def passed() -> bool:
            await desk.deliveries.poll()
            return bool(receiver.hooks)

        await eventually(passed)
        await slow.until(MOST_FOR_A_HOST)
        assert slow.most_at_once == MOST_FOR_A_HOST
        slow.answers = []
        slow.release.set()
        await desk.deliveries.idle()


def _subjects(host: int, count: int) -> list[CallbackKeys]:
    return [CallbackKeys(0, f"ver_{host}_{n}") for n in range(count)]


def test_hosts_take_turns_and_none_takes_more_than_its_share() -> None:
    turn = Turns()
    for host in range(10):
        assert all(turn.add(k, str(host)) for k in _subjects(host, MOST_FOR_A_HOST + 1))
    given = []
    while (subject := turn.next()) is not None:
        given.append(subject.subject)
    assert len(given) == MOST_AT_ONCE
    assert {name[:5] for name in given[:10]} == {f"ver_{host}" for host in range(10)}
    turn.done(CallbackKeys(0, given[0]), again=False)
    after = turn.next()
    assert after is not None
    assert turn.next() is None
    turn.done(after, again=True)
    assert after in turn.known


def test_a_host_has_its_share_of_places_when_it_is_alone() -> None:
    turn = Turns()
    taken = [turn.add(k, "one") for k in _subjects(0, MOST_WAITING_FOR_A_HOST + 1)]
    assert taken == [True] * MOST_WAITING_FOR_A_HOST + [False]
    assert [turn.next() is not None for _ in range(MOST_FOR_A_HOST + 1)] == [
        *[True] * MOST_FOR_A_HOST,
        False,
    ]


async def test_what_can_never_be_posted_ends_among_the_dead(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(event: str) -> bytes:
        raise KeyError("type")

    monkeypatch.setattr(module, "payload", broken)
    id_ = await desk.told(receiver.url)
    k = CallbackKeys(int(id_[4:6]), id_)
    await desk.poll()
    while (at := await desk.stores.connection.command("ZSCORE", k.out, id_)) is not None:
        desk.clock.move(int(float(at)) - desk.clock.now())
        await desk.poll()
    (letter,) = await desk.callbacks.dead_letters()
    assert (letter.answer, receiver.hooks) == ("failed", [])


async def test_what_no_room_is_left_for_is_counted_and_stops_nothing(
    desk: Desk, receiver: Receiver
) -> None:
    id_ = await desk.told(receiver.url)
    k = CallbackKeys(int(id_[4:6]), id_)
    many = [part for n in range(10_000) for part in (0, f"ver_{n}")]
    await desk.stores.connection.command("ZADD", k.out, *many)
    await desk.stores.report(id_)
    assert (await desk.callbacks.backlog()).lost == 1
    assert await desk.stores.connection.command("LLEN", k.queue) == 1


async def test_dead_letters_have_an_end(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_DEAD", 2)
    receiver.answers = [410] * 4
    for _ in range(3):
        await desk.told(receiver.url)
        await desk.poll()
        desk.clock.move(1)
    ids = [letter.callback.id for letter in await desk.callbacks.dead_letters()]
    assert ids == _ids(receiver)[1:]
    desk.clock.move(stored.KEEP_DEAD)
    await desk.told(receiver.url)
    await desk.poll()
    assert len(await desk.callbacks.dead_letters()) == 1


async def test_the_backlog_is_measured(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [500]
    await desk.told(receiver.url)
    await desk.poll()
    desk.clock.move(4_000)
    await desk.deliveries._measure()
    text = generate_latest(desk.metrics.registry).decode()
    assert "countersign_callbacks_waiting 1.0" in text
    assert "countersign_callbacks_oldest_seconds 4.0" in text
