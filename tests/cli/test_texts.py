"""``countersign texts``: what a message says and costs, without anything that has to run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.commands import app
from tests.domain.wording import LOCALES

CONFIG = """
app_name = "Банк"
[codes]
alphabet = "letters"
length = 8
grouping = "blank"
[senders.brand]
kind = "alphanumeric"
from = "Acme"
messaging_profile_id = "p"
stop_text = "Stop: acme.example/stop"
stop_countries = ["FR"]
[texts]
max_segments = 2
[texts.payout]
de = "{code} ({app})"
"de@payment" = "{code}: {amount} {currency} an {payee} ({app})"
"""


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERSIGN_CONFIG", raising=False)


def _call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["texts", *words])
    assert result.exit_code == code, result.output
    return result.output


def _rows(*words: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in _call(*words, "--json").splitlines()]


def test_a_preview_shows_size_and_phone() -> None:
    shown = _call("preview", "--locale", "tr", "--app-name", "Acme")
    for part in ("GSM-7", "122", "on the phone", "123456 Acme kodunuz."):
        assert part in shown
    (row,) = _rows("preview", "--locale", "ar", "--app-hash", "FA+9qCX9VSu")
    assert (row["encoding"], row["segments"]) == ("UCS-2", 1)
    assert row["bytes"] == len(str(row["text"]).encode())


def test_all_languages_are_shown_as_they_would_be_sent() -> None:
    rows = _rows("preview", "--all", "--web-origin", "https://login.example.com")
    assert [row["asked"] for row in rows] == LOCALES
    assert {row["segments"] for row in rows} == {1}
    assert all(str(row["text"]).endswith("\n@login.example.com #123456") for row in rows)
    assert "κωδικός" in _call("preview", "--all")


def test_the_configuration_is_what_is_shown(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(CONFIG, encoding="utf-8")
    (row,) = _rows("preview", "--config", str(config), "--country", "AT", "--purpose", "payout")
    assert row["text"] == "KTRW PLBN (Банк)"
    (paid,) = _rows(
        "preview",
        "--config",
        str(config),
        "--locale",
        "de",
        "--purpose",
        "payout",
        "--payee",
        "Ä & Co.",
    )
    assert paid["text"] == "KTRW PLBN: 1234.56 EUR an Ä & Co. (Банк)"
    brand = ("preview", "--config", str(config), "--sender", "brand")
    assert "acme.example/stop" in str(_rows(*brand, "--country", "FR")[0]["text"])
    assert "acme.example/stop" not in str(_rows(*brand, "--country", "DE")[0]["text"])
    listed = {row["locale"]: row["own"] for row in _rows("list", "--config", str(config))}
    assert listed["de"] == ["payout.de", "payout.de@payment"]
    assert listed["fr"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--web-origin", "http://a"], "must be an https origin"),
        (["--app-hash", "x"], "11 characters"),
        (["--payee", "a\nb"], "letters and digits of any script"),
        (["--sender", "none"], "no sender none"),
        (["--web-origin", "a." * 44 + "example.com", "--app-hash", "FA+9qCX9VSu"], "422"),
        (["--app-name", "{x}"], "app_name"),
    ],
)
def test_what_cannot_be_shown_says_why(words: list[str], said: str) -> None:
    assert said in _call("preview", *words, code=1)
