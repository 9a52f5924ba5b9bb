"""Amounts of money, and the price that is learnt from them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.money import MICROS, learn, price_of_part, read_amount, show_amount

prices = st.integers(1, 10 * MICROS)


@pytest.mark.parametrize(
    ("text", "micros"),
    [("0.0051", 5_100), ("1", MICROS), ("0", 0), ("0.00000001", 1), ("1e-3", 1_000)],
)
def test_an_amount_is_read_in_micros_rounded_up(text: str, micros: int) -> None:
    assert read_amount(text) == micros


@pytest.mark.parametrize("text", ["", "-1", "NaN", "inf", "1e99", "0.5 USD", "1,5"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert read_amount(text) is None


@given(st.text(max_size=20))
def test_any_text_is_read_or_not(text: str) -> None:
    amount = read_amount(text)
    assert amount is None or amount >= 0


@given(st.integers(0, 10**12))
def test_an_amount_is_shown_as_it_is_read(micros: int) -> None:
    assert Decimal(show_amount(micros)) * MICROS == micros


@given(st.integers(0, 10**9), st.integers(1, 10))
def test_the_parts_of_a_message_pay_for_all_of_it(cost: int, parts: int) -> None:
    part = price_of_part(cost, parts)
    assert cost <= part * parts < cost + parts


@given(st.none() | prices, st.lists(prices, min_size=1, max_size=50))
def test_the_estimate_is_never_below_the_last_price(estimate: int | None, paid: list[int]) -> None:
    for price in paid:
        before, estimate = estimate, learn(estimate, price)
        assert estimate >= price
        assert estimate <= max(before or 0, *paid)


def test_it_rises_at_once_and_falls_slowly() -> None:
    assert learn(5_000, 80_000) == 80_000
    assert learn(80_000, 5_000) > 75_000
    estimate = 80_000
    for _ in range(200):
        estimate = learn(estimate, 5_000)
    assert estimate < 5_020
