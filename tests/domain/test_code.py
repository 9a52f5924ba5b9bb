"""Codes: how they are drawn, read, digested, and that they never show."""

import json
import pickle
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.code import HASH_PROFILES, Code, digest_code, draw_code, read_code

CODE = Code("123456")
COST = HASH_PROFILES["minimum"]


@given(st.integers(4, 10), st.randoms(use_true_random=False))
def test_a_code_has_its_length_and_only_digits(length: int, random: object) -> None:
    code = draw_code(length, random.randrange)  # type: ignore[attr-defined]
    assert len(code.reveal()) == length
    assert code.reveal().isdecimal()


def test_every_code_is_drawn_from_the_whole_range() -> None:
    drawn = Counter(draw_code(4, value.__mod__).reveal() for value in range(10_000))
    assert len(drawn) == 10_000
    assert drawn["0000"] == 1


@given(st.text())
def test_any_text_is_read_as_a_code_or_not(text: str) -> None:
    code = read_code(text)
    assert code is None or code.reveal().isascii()


def test_blanks_and_dashes_do_not_matter() -> None:
    code = read_code(" 123-456 ")
    assert code is not None
    assert code.reveal() == "123456"


def test_a_code_does_not_show() -> None:
    code = Code("123456")
    assert "123456" not in f"{code!r} {code} {[code]}"
    with pytest.raises(TypeError):
        pickle.dumps(code)
    with pytest.raises(TypeError):
        json.dumps({"code": code})


def test_a_digest_depends_on_all_that_binds_it() -> None:
    base: dict[str, Any] = {
        "code": CODE,
        "verification": "v",
        "pepper": b"p",
        "salt": b"s" * 16,
        "cost": COST,
    }
    changes: list[dict[str, Any]] = [
        {},
        {"code": Code("123457")},
        {"verification": "w"},
        {"pepper": b"q"},
        {"salt": b"t" * 16},
    ]
    digests = [digest_code(**(base | change)) for change in changes]
    assert digests[0] == digest_code(**base)
    assert len(set(digests)) == len(changes)
