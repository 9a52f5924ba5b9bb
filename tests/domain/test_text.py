"""A message: its size as Telnyx counts it, the way to stop, and the last line, which fills itself in."""

import pytest

from service.domain.segments import Encoding, measure, septets
from service.domain.text import TextError, complete, in_segments, web_host

SENTENCE = "123456 is your Acme code. Do not share it."
HASH = "FA+9qCX9VSu"


def test_one_last_line_serves_the_web_and_android() -> None:
    text = complete(SENTENCE, "123456", host="login.example.com", app_hash=HASH)
    assert text.splitlines()[-1] == f"@login.example.com #123456 {HASH}"
    assert len(text.encode()) <= 140


def test_the_way_to_stop_stands_before_the_line_that_fills_itself_in() -> None:
    stop = "Stop: acme.example/stop"
    assert complete(SENTENCE, "123456", stop_text=stop).endswith(f"Do not share it. {stop}")
    text = complete(SENTENCE, "123456", host="login.example.com", app_hash=HASH, stop_text=stop)
    assert text.splitlines()[0].endswith(stop)
    assert text.splitlines()[-1] == f"@login.example.com #123456 {HASH}"
    assert text.endswith(HASH)
    for too_long in ("x" * 60, "x" * 140, "日"):
        with pytest.raises(TextError):
            complete(
                SENTENCE, "123456", host="login.example.com", app_hash=HASH, stop_text=too_long
            )


@pytest.mark.parametrize(
    ("text", "most", "fits"),
    [
        ("a" * 160, 1, True),
        ("a" * 161, 1, False),
        ("a" * 306, 2, True),
        ("a" * 307, 2, False),
        ("я" * 70, 1, True),
        ("я" * 71, 1, False),
        ("я" * 134, 2, True),
        ("я" * 135, 2, False),
    ],
)
def test_a_text_takes_no_more_segments_than_allowed(text: str, most: int, fits: bool) -> None:
    if fits:
        assert in_segments(text, most) == text
    else:
        with pytest.raises(TextError, match=r"hold"):
            in_segments(text, most)


def test_escaped_characters_count_twice() -> None:
    assert septets("[€]") == 6
    assert septets("a" * 160) == 160
    assert septets("日") is None


def test_what_is_left_is_counted_in_the_units_of_the_encoding() -> None:
    assert (measure("a" * 42).encoding, measure("a" * 42).left) == (Encoding.GSM_7, 118)
    # An emoji is two UTF-16 units.
    assert (measure("😀").encoding, measure("😀").units, measure("😀").left) == (
        Encoding.UCS_2,
        2,
        68,
    )
    assert measure("я" * 71).left == 134 - 71


@pytest.mark.parametrize(
    "origin",
    ["", "http://a.example", "a b.example", "localhost", "@a.example", "a.example/x"],
)
def test_an_origin_that_would_break_the_line_is_refused(origin: str) -> None:
    with pytest.raises(TextError):
        web_host(origin)
