"""Every language that is shipped: what is in it, how it is counted, read by platforms, and laid out; and
which wording is taken for whom."""

import re
from dataclasses import replace
from typing import NamedTuple

import pytest
from bidi import get_display
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.domain.code import Code, Grouping
from service.domain.segments import Encoding, measure
from service.domain.text import RETRIEVER_BYTES, TextError
from service.domain.texts import (
    ANY_PURPOSE,
    SAMPLE,
    Texts,
    check_name,
    check_stop_texts,
    check_templates,
)
from service.domain.transaction import PayeeError, Transaction, check_payee
from tests.domain.wording import CODE, HASH, HOST, LOCALES, SHIPPED

locales = pytest.mark.parametrize("locale", LOCALES)
PAYMENT = Transaction("Example Shop Ltd", "12.50", "EUR")
RIGHT_TO_LEFT = ["ar", "fa", "he", "ur"]


class Composed(NamedTuple):
    text: str
    locale: str
    variant: str


def _compose(locale: str | None, texts: Texts = SHIPPED, **changes: object) -> Composed:
    asked: dict[str, object] = {"purpose": "login", "country": "US", "locale": locale, **changes}
    wording = texts.wording(CODE, **asked)  # type: ignore[arg-type]
    return Composed(wording.say(CODE), wording.locale, wording.variant)


class OriginBound(NamedTuple):
    host: str
    code: str


def _parse(text: str) -> OriginBound | None:
    """The parser of WICG sms-one-time-codes: the last line alone; ``@``, the host up to a blank, one
    blank, ``#``, the code up to a blank; what follows is not looked at."""
    line = text.rpartition("\n")[2]
    host, _, rest = line.partition(" ")
    if not line.startswith("@") or len(host) < 2 or not rest.startswith("#"):
        return None
    code = re.split(r"[\t\n\f\r ]", rest[1:])[0]
    return OriginBound(host[1:], code) if code else None


def test_there_are_more_than_forty_languages() -> None:
    assert len({locale.split("-")[0] for locale in LOCALES}) >= 60


@locales
def test_what_is_shipped_has_every_placeholder_and_no_other(locale: str) -> None:
    of_locale = {k: t for k, t in SHIPPED.catalogue.items() if k.partition("@")[0] == locale}
    assert len(of_locale) == 4, "full, short, payment and payment-short"
    assert check_templates({ANY_PURPOSE: of_locale}, replace(SHIPPED, max_segments=2)) == []
    short = {k: t for k, t in of_locale.items() if k.endswith("short")}
    assert check_templates({ANY_PURPOSE: short}, SHIPPED) == [], "the short ones are one segment"


@locales
def test_the_code_comes_first_and_stands_alone(locale: str) -> None:
    for key, template in SHIPPED.catalogue.items():
        if key.partition("@")[0] == locale:
            assert template.startswith("{code} ")
    text = _compose(locale).text
    assert text.split()[0] == "123456"
    assert "Acme" in text


@locales
def test_the_plain_text_says_not_to_share_it_in_one_segment(locale: str) -> None:
    composed = _compose(locale)
    assert (composed.locale, composed.variant) == (locale, "")
    assert measure(composed.text).segments == 1
    short = SHIPPED.sentence(SHIPPED.catalogue[f"{locale}@short"], CODE)
    assert len(composed.text) > len(short)


@locales
@pytest.mark.parametrize("host", [None, HOST])
@pytest.mark.parametrize("app_hash", [None, HASH])
@pytest.mark.parametrize("transaction", [None, PAYMENT])
def test_platforms_read_the_code_in_every_language(
    locale: str, host: str | None, app_hash: str | None, transaction: Transaction | None
) -> None:
    text = _compose(locale, host=host, app_hash=app_hash, transaction=transaction).text
    assert measure(text).segments == 1
    assert _parse(text) == (OriginBound(HOST, "123456") if host else None)
    if app_hash:
        assert text.endswith(HASH)
        assert len(text.encode()) <= RETRIEVER_BYTES
    if transaction:
        assert all(shown in text for shown in ("Example Shop Ltd", "12.50", "EUR"))


@locales
def test_web_and_android_are_served_at_once_in_the_own_language(locale: str) -> None:
    composed = _compose(locale, host=HOST, app_hash=HASH)
    assert composed.locale == locale


NAMES = ["Acme", "7-Eleven (UK)!", "C++ 24", "Acme Bank"]


@pytest.mark.parametrize("locale", RIGHT_TO_LEFT)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grouping", list(Grouping))
def test_nothing_is_garbled_from_right_to_left(locale: str, name: str, grouping: Grouping) -> None:
    """As a phone lays it out: a value that is read from left to right stands in one piece."""
    texts = replace(SHIPPED, app_name=name, grouping=grouping, max_segments=2)
    payment = Transaction("Shop & Co. 24", "12.50", "EUR")
    composed = _compose(locale, texts, host=HOST, app_hash=HASH, transaction=payment)
    sentence, last_line = composed.text.split("\n")
    seen = get_display(sentence, base_dir="R")
    code = {"none": "123456", "blank": "123 456", "dash": "123-456"}[grouping]
    for value in (code, name, "12.50", "EUR", "Shop & Co. 24"):
        assert value in seen
    assert get_display(last_line, base_dir="L") == f"@{HOST} #123456 {HASH}" == last_line


def test_without_isolates_it_would_be_garbled() -> None:
    """The check above can fail."""
    texts = replace(SHIPPED, app_name="7-Eleven (UK)!", grouping=Grouping.BLANK)
    text = re.sub("[\u2068\u2069]", "", _compose("ar", texts).text)
    seen = get_display(text, base_dir="R")
    assert "123 456" not in seen
    assert "7-Eleven (UK)!" not in seen


def test_a_right_to_left_name_leaves_a_left_to_right_text_as_it_is() -> None:
    payment = Transaction("مقهى", "12.50", "EUR")
    text = _compose("en", transaction=payment).text
    assert f"12.50 EUR to \u2068{payment.payee}\u2069." in text
    assert "12.50 EUR to " in get_display(text, base_dir="L")


def test_digits_stay_ascii() -> None:
    for locale in LOCALES:
        assert all(c.isascii() for c in _compose(locale).text if c.isdigit())


def test_english_is_worded_as_it_always_was() -> None:
    assert _compose("en").text == "123456 is your Acme code. Do not share it."
    assert _compose("en", transaction=PAYMENT).text == (
        "123456 is your Acme code to pay 12.50 EUR to Example Shop Ltd. Do not share it."
    )


@pytest.mark.parametrize(
    ("locale", "country", "taken"),
    [
        ("de", "US", "de"),
        ("de-AT", "US", "de"),
        ("pt-BR", "US", "pt"),
        ("pt-AO", "US", "pt-PT"),
        ("zh-TW", "US", "zh-Hant"),
        ("zh-HK", "US", "zh-Hant"),
        ("zh-Hans-SG", "US", "zh"),
        ("sr-ME", "US", "sr-Latn"),
        ("iw", "US", "he"),
        ("nb-NO", "US", "no"),
        ("ES", "US", "es"),
        ("tlh", "FR", "fr"),
        ("az-Arab", "TR", "tr"),
        (None, "DE", "de"),
        (None, "BR", "pt"),
        (None, "PT", "pt-PT"),
        (None, "TW", "zh-Hant"),
        (None, "PY", "es"),
        (None, "GB", "en"),
        (None, "AQ", "en"),
        (None, "", "en"),
        ("tlh", "ZZ", "en"),
    ],
)
def test_the_language_is_the_requests_else_the_countrys_else_english(
    locale: str | None, country: str, taken: str
) -> None:
    assert _compose(locale, country=country).locale == taken


@given(st.from_regex(r"\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z"), st.from_regex(r"\A[A-Z]{2}\Z"))
@settings(max_examples=200, deadline=None)
def test_there_is_a_text_for_any_locale_and_country(locale: str, country: str) -> None:
    assert "123456" in _compose(locale, country=country).text


CONFIGURED = {
    "login": {"de": "{code} ist dein {app}-Code.", "tr": "{code} {app} kodu."},
    ANY_PURPOSE: {"de": "{code}: {app}", "en": "{app} code: {code}"},
}
APPS = {"login": {"de-AT": "{code} is dei {app}-Code."}}


def test_an_apps_templates_come_before_the_configurations_and_those_before_what_is_shipped() -> (
    None
):
    texts = replace(SHIPPED, own=(CONFIGURED,)).of_app("Jause", APPS)
    assert _compose("de-AT", texts).text == "123456 is dei Jause-Code."
    assert _compose("de-CH", texts).text == "123456 ist dein Jause-Code."
    assert _compose("de", texts, purpose="payout").text == "123456: Jause"
    assert _compose("tr", texts, purpose="payout").text == "123456 Jause kodunuz. Kimseye vermeyin."
    assert _compose("en", texts).text == "Jause code: 123456"


def test_a_shorter_wording_is_taken_before_anything_is_lost() -> None:
    """First without "do not share it", then English; what the start brought is always in it."""
    steps = [
        _compose("el", host=host, app_hash=HASH) for host in (None, HOST, "l" * 40 + ".example.com")
    ]
    assert [(s.locale, s.variant) for s in steps] == [("el", ""), ("el", "short"), ("en", "")]
    for host in ("a." * 15 + "example.com", "a." * 40 + "example.com"):
        assert f"@{host} #123456" in _compose("el", host=host).text
    with pytest.raises(TextError) as caught:
        _compose("el", host="a." * 44 + "example.com", app_hash=HASH)
    assert "123456" not in str(caught.value)


def test_more_segments_are_taken_only_where_they_are_allowed() -> None:
    two = replace(SHIPPED, max_segments=2)
    assert measure(_compose("el", two, host=HOST).text).segments == 2
    assert _compose("el", two, host=HOST).variant == ""
    # What SMS Retriever reads is short whatever is allowed.
    assert len(_compose("el", two, host=HOST, app_hash=HASH).text.encode()) <= RETRIEVER_BYTES


_payees = st.text(
    st.characters(categories=["L", "M", "N", "Zs"], include_characters="&.,'"),
    min_size=1,
    max_size=40,
)


@given(
    st.sampled_from(LOCALES),
    st.tuples(_payees, st.from_regex(r"\A[0-9]{1,12}(\.[0-9]{1,3})?\Z")),
    st.sampled_from([None, HOST]),
    st.sampled_from([None, HASH]),
    st.sampled_from(["", "Stop: acme.example/stop"]),
)
@example("ar", ("مقهى الزاوية", "12.50"), HOST, None, "")
@settings(max_examples=400, deadline=None)
def test_the_payer_sees_payee_and_amount_or_nothing_is_sent(
    locale: str, paid: tuple[str, str], host: str | None, app_hash: str | None, stop: str
) -> None:
    payee, amount = paid
    try:
        payment = Transaction(check_payee(payee), amount, "EUR")
        text = _compose(
            locale, host=host, app_hash=app_hash, transaction=payment, stop_text=stop or None
        ).text
    except (PayeeError, TextError):
        return
    sentence = text.split("\n")[0] if host or app_hash else text
    assert {payee, amount, "EUR", stop} <= {
        p for p in (payee, amount, "EUR", stop) if p in sentence
    }
    assert _parse(text) == (OriginBound(HOST, "123456") if host else None)
    assert app_hash is None or (text.endswith(HASH) and len(text.encode()) <= RETRIEVER_BYTES)
    assert measure(text).segments == 1


@pytest.mark.parametrize(
    "payee", ["", " a", "a" * 41, "a\nb", "x@evil.example #1", "a\u202eb", "{code}", "<b>"]
)
def test_a_payee_that_could_pass_for_something_else_is_refused(payee: str) -> None:
    with pytest.raises(PayeeError):
        check_payee(payee)


@pytest.mark.parametrize(
    "payee", ["Café Müller", "Кофейня", "株式会社トヨタ", "مقهى 24", "O'Brien & Co."]
)
def test_a_payee_may_be_of_any_script(payee: str) -> None:
    assert check_payee(payee) == payee


@pytest.mark.parametrize(
    ("key", "template", "said"),
    [
        ("de", "{app}-Code", "lacks {code}"),
        ("de", "{code}", "lacks {app}"),
        ("de", "{code} {app} {user}", "not known here: {user}"),
        ("de", "{code} {app} {payee}", "not known here: {payee}"),
        ("de@payment", "{code} {app}", "lacks {amount}, {currency}, {payee}"),
        ("de", "{code} {code} {app}", "more than once"),
        ("de", "{code} {app} {", "brace"),
        ("de", "{code} {app} {0}", "brace"),
        ("de", "{code} {app}\n@evil.example #1", "control character"),
        ("de", "\u202e{code} {app}", "control character"),
        ("de", "@{app} #{code}", "begins with @"),
        ("de", " {code} {app}", "blank at an end"),
        ("de", "{code} {app} " + "x" * 160, "GSM-7 characters long; one segment holds 160"),
        ("el", "{code} {app} " + "κ" * 60, "is 76 UCS-2 characters long; one segment holds 70"),
        ("deutsch!", "{code} {app}", "no locale"),
        ("de@long", "{code} {app}", "no locale"),
        ("de@", "{code} {app}", "no locale"),
        ("pt-br", "{code} {app}", "write pt-BR"),
        ("zh-TW", "{code} {app}", "write zh-Hant-TW"),
        ("iw", "{code} {app}", "write he"),
    ],
)
def test_a_template_that_cannot_be_sent_is_refused(key: str, template: str, said: str) -> None:
    faults = check_templates({"login": {key: template}}, SHIPPED)
    assert len(faults) == 1
    assert faults[0].startswith(f"login.{key}: ")
    assert said in faults[0]


def test_every_fault_of_every_template_is_named() -> None:
    templates = {
        "login": {"de": "{app} {x}", "fr": "{code} {app}"},
        "Log In": {"en": "{code}"},
        ANY_PURPOSE: {"tr": "{code} {app} " + "x" * 140},
    }
    stop_texts = {"brand": "Stop: acme.example/stop", "other": "Stop"}
    faults = check_templates(templates, SHIPPED, stop_texts)
    assert [fault.partition(": ")[0] for fault in faults] == [
        "login.de", "login.de", "Log In", "Log In.en", "*.tr", "*.tr",
    ]  # fmt: skip
    assert "with the stop_text of brand" in faults[4]


@given(st.text(), st.text(), st.text())
def test_any_template_is_fine_or_is_told_what_is_wrong(purpose: str, key: str, text: str) -> None:
    faults = check_templates({purpose: {key: text}}, SHIPPED)
    assert faults or {"{code}", "{app}"} <= set(re.findall(r"\{.*?\}", text))


def test_a_name_may_be_of_any_script_but_not_change_the_direction() -> None:
    assert check_name("Банк Пример") == check_name("بنك") == check_name("Ácme") == []
    for name in ("a\nb", "a\u202eb", "{code}", "a\u2066", "@evil.example"):
        assert check_name(name)
    cyrillic = replace(SHIPPED, app_name="Банк Пример")
    assert measure(_compose("en", cyrillic).text).encoding is Encoding.UCS_2
    for locale in LOCALES:
        assert measure(_compose(locale, cyrillic).text).segments == 1


def test_a_way_to_stop_that_leaves_no_room_is_named() -> None:
    assert check_stop_texts(SHIPPED, {"brand": "Stop: acme.example/stop"}) == []
    (fault,) = check_stop_texts(SHIPPED, {"brand": "x" * 150, "fine": "x"})
    assert fault.startswith("brand.stop_text")


def test_a_grouped_code_stands_in_one_piece_on_the_last_line() -> None:
    grouped = replace(SHIPPED, grouping=Grouping.BLANK)
    code = Code("12345678")
    text = grouped.wording(code, purpose="login", country="DE", host=HOST).say(code)
    assert text.startswith("1234 5678 ist ")
    assert _parse(text) == OriginBound(HOST, "12345678")


def test_a_letter_code_leaves_the_paragraph_its_direction() -> None:
    """Its first letter would otherwise decide that the text is read from left to right."""
    code = Code("KTRWPL")
    text = SHIPPED.wording(code, purpose="login", country="IL").say(code)
    assert text.startswith("\u2068KTRWPL\u2069 ")
    assert "KTRWPL" in get_display(text)
    assert get_display(text).rstrip("\u2068\u2069").endswith("KTRWPL")


def test_the_sample_of_a_payment_fits_wherever_it_is_said() -> None:
    for locale in LOCALES:
        assert _compose(locale, transaction=SAMPLE).locale == locale
