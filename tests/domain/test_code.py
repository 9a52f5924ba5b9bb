"""Codes: how they are drawn, read, digested, and that they never show."""

import json
import pickle
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.code import (
    HASH_PROFILES,
    MIN_BITS,
    Alphabet,
    Code,
    Grouping,
    alphabets_of,
    digest_code,
    draw_code,
    group,
    read_code,
)

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


@given(st.sampled_from(Alphabet), st.integers(4, 10), st.randoms(use_true_random=False))
def test_a_code_is_of_its_alphabet_and_is_read_in_any_dress(
    alphabet: Alphabet, length: int, random: Any
) -> None:
    code = draw_code(length, random.randrange, alphabet).reveal()
    assert len(code) == length
    assert set(code) <= set(alphabet.characters)
    assert alphabet in alphabets_of(Code(code))
    wide = "".join(chr(ord(c) + 0xFEE0) for c in code)
    shown = [group(code, grouping) for grouping in Grouping]
    for typed in (
        *shown,
        code.lower(),
        wide,
        wide.lower(),
        f"\u2068{code}\u2069",
        "\u2014".join(code),
    ):
        read = read_code(typed)
        assert read is not None
        assert read.reveal() == code


def test_no_code_can_be_misread_as_another() -> None:
    assert not set(Alphabet.LETTERS.characters) & set("AEIOUY0123456789")
    assert not set(Alphabet.MIXED.characters) & set("AEIOUYBGLQSZ012058")
    assert all(any(c.isdigit() for c in _drawn(Alphabet.MIXED, n)) for n in range(2_000))


def _drawn(alphabet: Alphabet, n: int) -> str:
    values = iter([n * 7_919, n * 104_729, *range(1, 10_000)])
    return draw_code(4, lambda below: next(values) % below, alphabet).reveal()


@pytest.mark.parametrize(
    ("alphabet", "length", "bits", "allowed"),
    [
        (Alphabet.DIGITS, 4, 13.3, True),
        (Alphabet.DIGITS, 6, 19.9, True),
        (Alphabet.LETTERS, 4, 17.3, False),
        (Alphabet.LETTERS, 5, 21.6, True),
        (Alphabet.MIXED, 4, 16.5, False),
        (Alphabet.MIXED, 5, 20.9, True),
        (Alphabet.MIXED, 6, 25.2, True),
    ],
)
def test_the_entropy_of_a_code(alphabet: Alphabet, length: int, bits: float, allowed: bool) -> None:
    assert alphabet.bits(length) == pytest.approx(bits, abs=0.05)
    assert alphabet.allows(length) is allowed
    assert allowed is (bits >= MIN_BITS or alphabet is Alphabet.DIGITS)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("1234", "1234"),
        ("12345", "123 45"),
        ("123456", "123 456"),
        ("1234567", "1234 567"),
        ("12345678", "1234 5678"),
        ("123456789", "123 456 789"),
        ("1234567890", "1234 567 890"),
    ],
)
def test_groups_can_be_said_in_one_breath(code: str, shown: str) -> None:
    assert group(code, Grouping.BLANK) == shown
    assert group(code, Grouping.DASH) == shown.replace(" ", "-")
    assert group(code, Grouping.NONE) == code


@pytest.mark.parametrize("typed", ["12345\x00", "123", "12345678901", "ABCDE", "12+34", "½½½½", ""])
def test_what_can_be_no_code_is_not_read(typed: str) -> None:
    assert read_code(typed) is None


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
        {"bound": "f"},
    ]
    digests = [digest_code(**(base | change)) for change in changes]
    assert digests[0] == digest_code(**base)
    assert len(set(digests)) == len(changes)
