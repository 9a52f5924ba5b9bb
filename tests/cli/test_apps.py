"""``countersign apps`` over a real store."""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey
from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.store import keys
from tests.harness import UP_TOML

NUMBER, CODE = "+12025550199", "739154"
SHOP = """
name = "The Shop"
callback_url = "https://shop.example/hooks"
[[routes]]
countries = ["US"]
plan = ["long"]
[limits]
recipient = ["3/600"]
[texts.login]
en = "{code} lets you into {app}."
[test_numbers]
"+12025550199" = "739154"
"""


@pytest.fixture(autouse=True)
def store(valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Redis:
    client = Redis.from_url(valkey, decode_responses=True)
    client.flushall()
    config = tmp_path / "countersign.toml"
    config.write_text(f'public_url = "http://127.0.0.1:9"\n{UP_TOML.read_text()}')
    (tmp_path / "shop.toml").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "COUNTERSIGN_CONFIG": str(config),
        "COUNTERSIGN_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "REDIS_URL": valkey,
        "TELNYX_API_KEY": "KEY",
        "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(SigningKey.generate().verify_key)).decode(),
    }.items():
        monkeypatch.setenv(name, value)
    return client


def _call(*words: str, code: int = 0, typed: str | None = None, of: str = "apps") -> Result:
    result = CliRunner().invoke(app, [of, *words], input=typed)
    assert result.exit_code == code, result.output
    return result


def _listed() -> dict[str, dict[str, object]]:
    rows = [json.loads(line) for line in _call("list", "--json").stdout.splitlines()]
    return {row["app"]: row for row in rows}


def test_an_app_is_created_shown_changed_and_deleted(store: Redis, tmp_path: Path) -> None:
    assert "is created" in _call("create", "shop", "shop.toml").stdout
    assert "apps set" in _call("create", "shop", "shop.toml", code=1).stderr
    shown = _call("show", "shop")
    assert "The Shop" in shown.stdout
    assert NUMBER not in shown.stdout
    assert CODE not in shown.stdout + str(store.hgetall(keys.APPS))

    # What --json shows may be changed and set again; the test numbers stay.
    definition = json.loads(_call("show", "shop", "--json").stdout)
    definition["ttl"] = 120
    assert "revision 2" in _call("set", "shop", "-", typed=json.dumps(definition)).stdout
    _call("create", "--app", "shop", of="keys")
    assert _listed()["shop"] | {"changed": None} == {
        "app": "shop",
        "revision": 2,
        "changed": None,
        "own": ["callback_url", "limits", "name", "routes", "texts", "ttl"],
        "test_numbers": 1,
        "keys": 1,
    }
    stale = _call("set", "shop", "shop.toml", "--revision", "1", code=1).stderr
    assert "somebody else changed the app" in stale
    _call("set", "shop", "shop.toml", "--revision", "2")

    assert "is deleted" in _call("delete", "shop", "--yes").stdout
    assert "Nobody defined" in _call("show", "shop", code=1).stderr
    assert "shop" not in _listed()
    assert " revoked " in _call("list", of="keys").stdout
    trail: Any = store.xrange("cs:{00}:audit")
    events = [json.loads(fields["event"]) for _, fields in trail]
    assert {event["actor"] for event in events} == {"operator"}
    assert [event["type"] for event in events] == [
        "app.created",
        "app.changed",
        "key.created",
        "app.changed",
        "key.revoked",
        "app.deleted",
    ]


def test_apps_that_only_have_keys_are_listed_too() -> None:
    _call("create", "--app", "shop", of="keys")
    assert {name: row["revision"] for name, row in _listed().items()} == {"default": 0, "shop": 0}
    _call("create", "empty")
    assert _listed()["empty"]["own"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "Shop"), "must be a slug"),
        (("create", "shop", "/nowhere.toml"), "cannot be read"),
        (("set", "shop", "bad.toml"), "neither TOML nor JSON"),
        (("set", "shop", "faulty.toml"), "/routes/0/plan/0 names no configured sender"),
        (("set", "shop", "numbers.toml"), "/test_numbers has a code that is not 4 to 10 digits"),
        (("delete", "default", "--yes"), "always there"),
        (("delete", "shop", "--yes"), "Nobody defined"),
    ],
)
def test_bad_input_is_told_what_to_do(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name =")
    (tmp_path / "faulty.toml").write_text('[[routes]]\ncountries = ["*"]\nplan = ["nobody"]\n')
    (tmp_path / "numbers.toml").write_text(f'[test_numbers]\n"{NUMBER}" = "abcdef"\n')
    refused = _call(*words, code=1).stderr
    assert said in refused
    assert NUMBER not in refused
