"""Caps in money: no window holds more than its cap under any concurrency, each message counts once, and
what is spent beyond a cap is at most what prices jumped by while messages were in flight."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from service.domain.money import SLICES, Budget, Cap, OverCap, learn
from service.store.money import MoneyStore
from tests.store.stores import NOW, Stores

HOUR, DAY = 3_600, 86_400
PREFIX, COUNTRY = "+4477009", "GB"
PRICE = 100
on_one_store = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def money(stores: Stores) -> MoneyStore:
    return MoneyStore(stores.scripts, lambda name, value: _digest(name + value), currency="USD")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _cap(*budgets: Budget) -> Cap:
    return Cap("spend_app", secrets.token_hex(8), budgets or (Budget(10 * PRICE, HOUR),))


async def _reserve(
    money: MoneyStore, cap: Cap, now: int = NOW, price: int = PRICE, member: str = ""
) -> OverCap | None:
    return await money.reserve([cap], member or secrets.token_hex(8), price, now)


async def test_40_at_once_against_a_cap_for_10(money: MoneyStore, redis: Redis) -> None:
    cap = _cap()
    found = await asyncio.gather(*(_reserve(money, cap) for _ in range(40)))
    assert found.count(None) == 10
    over = next(one for one in found if one is not None)
    assert (over.limit, over.budget, over.price) == ("spend_app", cap.budgets[0], PRICE)


async def test_a_message_is_reserved_once_and_settled_once(money: MoneyStore) -> None:
    cap = _cap()
    for _ in range(20):
        assert await _reserve(money, cap, member="one") is None
    for _ in range(3):
        await money.settle([cap], "one", 3 * PRICE)
    assert [await _reserve(money, cap) for _ in range(7)] == [None] * 7
    assert await _reserve(money, cap) is not None


async def test_what_was_not_sent_is_given_back_once(money: MoneyStore) -> None:
    cap = _cap()
    for number in range(10):
        await _reserve(money, cap, member=f"{number}")
    for _ in range(3):
        await money.settle([cap], "0", None)
    assert await _reserve(money, cap) is None
    assert await _reserve(money, cap) is not None
    await money.settle([cap], "unknown", 9 * PRICE)
    await money.settle([cap], "0", 9 * PRICE)  # Given back: no report of it can come.
    await money.settle([cap], "1", 0)
    assert await _reserve(money, cap) is None


async def test_a_report_is_booked_where_its_message_was_reserved(money: MoneyStore) -> None:
    cap = _cap()
    await _reserve(money, cap, member="early")
    later = NOW + HOUR * 1000 // 2
    await money.settle([cap], "early", 10 * PRICE)
    assert await _reserve(money, cap, later) is not None
    # It leaves the window an hour after it was sent, not after it was reported.
    assert await _reserve(money, cap, NOW + (HOUR + 60) * 1000) is None


async def test_one_cap_that_refuses_costs_the_others_nothing(money: MoneyStore) -> None:
    wide, narrow = _cap(Budget(20 * PRICE, HOUR)), _cap(Budget(PRICE, HOUR))
    for _ in range(30):
        await money.reserve([wide, narrow], secrets.token_hex(8), PRICE, NOW)
    found = [await _reserve(money, wide) for _ in range(20)]
    assert found.count(None) == 19


async def test_two_currencies_know_nothing_of_each_other(money: MoneyStore, stores: Stores) -> None:
    euro = MoneyStore(stores.scripts, lambda name, value: _digest(value + name), currency="EUR")
    cap = _cap(Budget(PRICE, HOUR))
    assert await _reserve(money, cap) is None
    assert await _reserve(euro, cap) is None
    assert await _reserve(money, cap) is not None


@on_one_store
@given(
    seconds=st.sampled_from(list(SLICES)),
    steps=st.lists(st.integers(0, 2 * 3_600_000), min_size=3, max_size=12),
)
async def test_the_wait_is_true(money: MoneyStore, seconds: int, steps: Sequence[int]) -> None:
    cap, now = _cap(Budget(3 * PRICE, seconds)), NOW
    for step in steps:
        now += step * seconds // DAY
        over = await _reserve(money, cap, now)
        if over is not None:
            assert 0 < over.retry_after <= (seconds + seconds // SLICES[seconds]) * 1000
            assert await _reserve(money, cap, now + over.retry_after - 1) is not None
            assert await _reserve(money, cap, now + over.retry_after) is None
            return


@on_one_store
@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=15))
async def test_the_script_learns_as_the_domain_does(money: MoneyStore, paid: list[int]) -> None:
    prefix, country, estimate = secrets.token_hex(8), secrets.token_hex(8), None
    for price in paid:
        await money.learn(prefix, country, price)
        estimate = learn(estimate, price)
    assert await _price(money, prefix, country) == estimate


async def test_a_prefix_of_which_nothing_is_known_costs_what_its_country_does(
    money: MoneyStore,
) -> None:
    assert await _price(money, PREFIX, COUNTRY) is None
    await money.learn(PREFIX, COUNTRY, 5_000)
    await money.learn("+4420000", COUNTRY, 9_000)
    assert await _price(money, PREFIX, COUNTRY) == 5_000
    assert await _price(money, "+4498765", COUNTRY) == 9_000
    assert await _price(money, PREFIX, "SE") == 5_000


async def _price(money: MoneyStore, prefix: str, country: str) -> int | None:
    calls = money.price_calls(prefix, country)
    return money.read_price(await money._scripts.run_all(calls))


@dataclass
class _Message:
    at: int
    reserved: int
    cost: int
    settled: bool = False

    @property
    def counted(self) -> int:
        return self.cost if self.settled else self.reserved


CAP = 1_000
DEFAULT = 30
_costs = st.integers(1, 400)
_turns = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 40), _costs),
        st.tuples(st.just("report"), st.integers(0, 60), st.just(0)),
        st.tuples(st.just("pass"), st.integers(0, 2_400_000), st.just(0)),
    ),
    min_size=5,
    max_size=30,
)


@on_one_store
@given(_turns)
async def test_overspend_is_at_most_what_was_in_flight(
    money: MoneyStore, turns: list[tuple[str, int, int]]
) -> None:
    """Bursts of concurrent messages, prices that jump with each, reports that come late or never. In any
    window::

        spent <= cap + sum over the messages without a report of max(0, cost - reserved)

    as it stood when a message was last let through: a report that says more lets nothing further through.
    """
    cap, now, prefix = _cap(Budget(CAP, HOUR)), NOW, secrets.token_hex(8)
    sent: dict[str, _Message] = {}
    for turn, number, cost in turns:
        if turn == "pass":
            now += number
        elif turn == "report":
            await _report(money, cap, prefix, dict(list(sent.items())[:number]))
        else:
            price = await _price(money, prefix, prefix) or DEFAULT
            ids = [secrets.token_hex(8) for _ in range(number)]
            found = await asyncio.gather(*(money.reserve([cap], id_, price, now) for id_ in ids))
            before = len(sent)
            sent |= {
                id_: _Message(now, price, cost)
                for id_, over in zip(ids, found, strict=True)
                if over is None
            }
            if len(sent) > before:
                _is_within(list(sent.values()), now)
            if len(sent) < before + number:
                # Refused only where a slice more than the window holds too much.
                kept = [m for m in sent.values() if m.at > now - (HOUR + 60) * 1000]
                assert sum(m.counted for m in kept) + price > CAP


def _is_within(sent: list[_Message], now: int) -> None:
    window = [m for m in sent if m.at > now - HOUR * 1000]
    assert sum(m.counted for m in window) <= CAP
    jumps = sum(max(0, m.cost - m.reserved) for m in window if not m.settled)
    assert sum(m.cost for m in window) <= CAP + jumps


async def _report(money: MoneyStore, cap: Cap, prefix: str, messages: dict[str, _Message]) -> None:
    for id_, message in messages.items():
        if not message.settled:
            await money.settle([cap], id_, message.cost)
            await money.learn(prefix, prefix, message.cost)
            message.settled = True
