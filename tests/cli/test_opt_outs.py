"""``countersign opt-outs`` over a real store."""

import base64
import csv
import json
import secrets
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app
from tests.harness import UP_TOML

PHONE, OTHER = "+12025550141", "+447700900123"


@pytest.fixture
def environ(valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Redis.from_url(valkey) as client:
        client.flushall()
    config = tmp_path / "countersign.toml"
    config.write_text(f'public_url = "http://127.0.0.1:9"\n{UP_TOML.read_text()}')
    public = bytes(SigningKey.generate().verify_key)
    # The commands write their log to a standard error that the runner closes after each of them.
    monkeypatch.setattr("service.telemetry.configure_logging", lambda _: None)
    for name, value in {
        "COUNTERSIGN_CONFIG": str(config),
        "COUNTERSIGN_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "REDIS_URL": valkey,
        "TELNYX_API_KEY": "KEY",
        "TELNYX_PUBLIC_KEY": base64.b64encode(public).decode(),
    }.items():
        monkeypatch.setenv(name, value)


def _call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["opt-outs", *words])
    assert result.exit_code == code, result.output
    return result


def _listed() -> list[dict[str, str]]:
    return [json.loads(line) for line in _call("list", "--json").stdout.splitlines()]


@pytest.mark.usefixtures("environ")
def test_a_number_is_added_shown_and_lifted_by_scope() -> None:
    assert "is opted out (*)" in _call("add", PHONE).stdout
    assert "already" in _call("add", PHONE).stdout
    _call("add", PHONE, "--scope", "app:shop")
    assert {row["scope"] for row in _listed()} == {"*", "app:shop"}
    assert len(_call("get", PHONE, "--json").stdout.splitlines()) == 2
    _call("lift", PHONE, "--scope", "app:shop")
    assert "there is no opt-out" in _call("lift", PHONE, "--scope", "app:shop", code=1).stderr
    _call("lift", PHONE)
    assert "there is no opt-out" in _call("get", PHONE, code=1).stderr
    assert PHONE not in _call("list").stdout


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "12025550141"), "must be an E.164 number"),
        (("add", PHONE, "--scope", "shop"), "app:<name>"),
        (("import", "/nowhere.csv"), "cannot be read"),
        (("export", "/nowhere/file.csv"), "cannot be written"),
    ],
)
def test_bad_input_is_told_what_to_do(words: tuple[str, ...], said: str) -> None:
    assert said in _call(*words, code=1).stderr


@pytest.mark.usefixtures("environ")
def test_an_import_of_an_export_restores_what_was(valkey: str, tmp_path: Path) -> None:
    file = tmp_path / "opt-outs.csv"
    for number in (PHONE, OTHER):
        _call("add", number)
    _call("add", PHONE, "--scope", "profile:ab-1")
    before = sorted(_listed(), key=str)
    _call("export", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert PHONE not in text
    assert OTHER not in text
    assert _call("export").stdout == text
    with Redis.from_url(valkey) as client:
        # An export's digests are of the store's look-up key, which lies in its meta.
        meta = client.hgetall("cs:meta")
        client.flushall()
        client.hset("cs:meta", mapping=meta)
    counts = json.loads(_call("import", str(file), "--json").stdout)
    assert counts == {"lines": 3, "recorded": 3, "known": 0, "bad": 0}
    assert sorted(_listed(), key=str) == before
    again = json.loads(_call("import", str(file), "--json").stdout)
    assert (again["recorded"], again["known"]) == (0, 3)
    assert sorted(_listed(), key=str) == before
    assert "+1********41" in _call("get", PHONE).stdout


@pytest.mark.usefixtures("environ")
def test_an_export_of_another_store_is_refused(valkey: str, tmp_path: Path) -> None:
    file = tmp_path / "opt-outs.csv"
    _call("add", PHONE)
    _call("export", str(file))
    with Redis.from_url(valkey) as client:
        client.flushall()  # with it goes the look-up key, and a new store makes its own
    result = _call("import", str(file), code=1)
    assert "line 2: recipient is a digest of another store" in result.stderr
    assert _listed() == []


@pytest.mark.usefixtures("environ")
def test_numbers_alone_are_imported_and_bad_lines_named_without_them(tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text(f"{PHONE}\n12025550142\n\n{OTHER}\n+0123456789012345\n")
    result = _call("import", str(file), code=1)
    assert "lines: 4, recorded: 2, known: 0, bad: 2" in result.stdout
    assert "line 2: number must be E.164" in result.stderr
    assert "line 5:" in result.stderr
    assert "5550142" not in result.output
    assert len(_listed()) == 2


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize(
    ("header", "line", "why"),
    [
        ("number,since", f"{PHONE},yesterday", "since must be an RFC 3339 time"),
        ("number,since", f"{PHONE},2999-01-01T00:00:00Z", "since must lie in the past"),
        ("number,scope", f"{PHONE},shop", "scope must be"),
        ("number,source", f"{PHONE},rumour", "source must be one of"),
        ("recipient,masked", f"{'0' * 31},+1**", "not 32 hexadecimal digits"),
        ("recipient,masked", f"{'0' * 32},{PHONE}x", "masked must be"),
        ("number", '"' + "+" * 5, "number must be E.164"),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, header: str, line: str, why: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"{header}\n{line}\n")
    result = _call("import", str(file), code=1)
    assert f"line 2: {why}" in result.stderr or why in result.stderr
    assert PHONE not in result.output


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,age\n", "must name the column"),
        (b"", "must name the column"),
        (b"number\n\xff\xfe\n", "not UTF-8"),
        (b"number\n" + b"1" * 5_000, "longer than"),
    ],
)
def test_a_file_that_is_none_is_said_to_be_none(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    assert said in _call("import", str(file), code=1).stderr


@pytest.mark.usefixtures("environ")
def test_a_long_file_is_read_in_parts(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("Number", "since", "note"))
        writer.writerows((f"+1202{n:07}", "2024-01-02 03:04:05", "x") for n in range(1_200))
    assert "recorded: 1,200" in _call("import", str(file)).stdout
    assert {row["since"] for row in _listed()} == {"2024-01-02T03:04:05.000Z"}


@pytest.mark.usefixtures("environ")
def test_a_sync_says_what_to_do_where_telnyx_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COUNTERSIGN_TELNYX_BASE_URL", "http://127.0.0.1:9/v2")
    monkeypatch.setattr("service.telnyx.account.TRIES", 1)
    assert "Telnyx" in _call("sync", code=1).stderr
