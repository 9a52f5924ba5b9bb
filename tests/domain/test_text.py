"""The message: one GSM-7 segment, whose last line fills itself in."""

import pytest

from service.domain.code import Code
from service.domain.text import SEGMENT_SEPTETS, TextError, Transaction, compose, septets, web_host

CODE = Code("123456")
HASH = "FA+9qCX9VSu"


def test_the_plain_text() -> None:
    assert compose(CODE, "Acme") == "123456 is your Acme code. Do not share it."


def test_one_last_line_serves_the_web_and_android() -> None:
    text = compose(CODE, "Acme", host="login.example.com", app_hash=HASH)
    assert text.splitlines()[-1] == f"@login.example.com #123456 {HASH}"
    assert len(text.encode()) <= 140


def test_the_way_to_stop_stands_before_the_line_that_fills_itself_in() -> None:
    stop = "Stop: acme.example/stop"
    assert compose(CODE, "Acme", stop_text=stop).endswith(f"Do not share it. {stop}")
    text = compose(CODE, "Acme", host="login.example.com", app_hash=HASH, stop_text=stop)
    assert text.splitlines()[0].endswith(stop)
    assert text.splitlines()[-1] == f"@login.example.com #123456 {HASH}"
    assert text.endswith(HASH)
    for too_long in ("x" * 60, "x" * 140, "日"):
        with pytest.raises(TextError):
            compose(CODE, "Acme", host="login.example.com", app_hash=HASH, stop_text=too_long)


def test_the_payer_sees_amount_and_payee() -> None:
    text = compose(CODE, "Bank", transaction=Transaction("Shop Ltd", "12.50", "EUR"))
    assert "12.50 EUR to Shop Ltd" in text


@pytest.mark.parametrize(("app", "host"), [("Ácme…", None), ("A" * 40, "a." * 40 + "example.com")])
def test_what_is_no_single_segment_is_refused(app: str, host: str | None) -> None:
    with pytest.raises(TextError) as caught:
        compose(CODE, app, host=host)
    assert "123456" not in str(caught.value)


def test_escaped_characters_count_twice() -> None:
    assert septets("[€]") == 6
    assert septets("a" * SEGMENT_SEPTETS) == SEGMENT_SEPTETS
    assert septets("日") is None


@pytest.mark.parametrize(
    "origin",
    ["", "http://a.example", "a b.example", "localhost", "@a.example", "a.example/x"],
)
def test_an_origin_that_would_break_the_line_is_refused(origin: str) -> None:
    with pytest.raises(TextError):
        web_host(origin)
