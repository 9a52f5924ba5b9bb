"""``countersign keyring``: the file is edited whole, and no key goes that is still needed."""

import asyncio
import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.domain.keyring import Keyring, parse_keys
from service.store.connection import Connection
from service.store.lookup import open_keyring
from tests.store.stores import Stores

PHONE = "+12025550123"
FAR = 4_000_000_000_000


@dataclass(frozen=True, slots=True)
class Operator:
    """A person at a terminal, with the keyring in a file and a Redis."""

    file: Path
    valkey: str

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["keyring", *words])

    def ring(self) -> Keyring:
        return Keyring(parse_keys(self.file.read_text()))

    def start_a_process(self) -> Keyring:
        return asyncio.run(self._open())

    async def _open(self) -> Keyring:
        connection = await Connection.open(self.valkey)
        try:
            return await open_keyring(connection, self.ring(), 1_800_000_000_000)
        finally:
            await connection.close()

    def log_in(self, key_id: str) -> None:
        """Leave a live verification that needs the key."""
        asyncio.run(self._log_in(key_id))

    async def _log_in(self, key_id: str) -> None:
        connection = await Connection.open(self.valkey)
        try:
            await Stores(connection).created(key_id=key_id, expires_at=FAR)
        finally:
            await connection.close()


@pytest.fixture
def operator(tmp_path: Path, valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    file = tmp_path / "keys"
    file.write_text(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    with Redis.from_url(valkey) as redis:
        redis.flushall()
    for name in ("COUNTERSIGN_KEYS", "COUNTERSIGN_CONFIG", "REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COUNTERSIGN_KEYS_FILE", str(file))
    monkeypatch.setenv("REDIS_URL", valkey)
    yield Operator(file, valkey)
    with Redis.from_url(valkey) as redis:
        redis.flushall()


def test_a_rotation_by_the_book(operator: Operator) -> None:
    before = operator.start_a_process()
    assert operator.run("add").exit_code == 0
    old, new = operator.ring().ids
    assert old == before.newest
    assert "no process has started" in operator.run("promote", new).stderr
    operator.start_a_process()
    assert operator.run("promote", new).exit_code == 0
    assert operator.ring().ids == (new, old)
    assert operator.run("retire", old).exit_code == 0
    assert operator.ring().ids == (new,)
    assert operator.start_a_process().lookup_id(PHONE) == before.lookup_id(PHONE)
    assert operator.file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in operator.file.parent.iterdir()] == ["keys"]


def test_a_key_that_live_verifications_need_stays(operator: Operator) -> None:
    operator.run("add")
    operator.start_a_process()
    newest, older = operator.ring().ids
    operator.log_in(older)
    refused = operator.run("retire", older)
    assert refused.exit_code == 1
    assert f"1 live verification(s) need {older} until 2096-10-02T07:06:40" in refused.stderr
    rows = json.loads(operator.run("status", "--json").stdout)
    assert [(row["id"], row["place"], row["live_verifications"]) for row in rows] == [
        (newest, "newest", 0),
        (older, "older", 1),
    ]
    assert operator.run("retire", older, "--force").exit_code == 0
    assert operator.ring().ids == (newest,)
    missing = operator.run("status")
    assert missing.exit_code == 1
    assert f"the keyring lacks: {older}" in missing.stderr


def test_the_newest_key_and_an_unknown_one_are_not_retired(operator: Operator) -> None:
    (only,) = operator.start_a_process().ids
    assert "promote another one first" in operator.run("retire", only).stderr
    assert f"it holds {only}" in operator.run("retire", "00000000").stderr
    assert operator.ring().ids == (only,)


def test_a_copy_that_an_old_process_brought_back_is_dropped(operator: Operator) -> None:
    operator.run("add")
    both = operator.file.read_text()
    newest, older = operator.start_a_process().ids
    operator.run("retire", older)
    alone = operator.file.read_text()
    operator.file.write_text(both)
    operator.start_a_process()
    operator.file.write_text(alone)
    assert older in operator.run("status").stdout
    assert "opens nothing any more" in operator.run("retire", older).stderr
    assert older not in operator.run("status").stdout
    assert newest in operator.run("status").stdout


def test_where_only_the_environment_is_used_the_value_is_printed(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUNTERSIGN_KEYS_FILE")
    text = operator.file.read_text().strip()
    monkeypatch.setenv("COUNTERSIGN_KEYS", text)
    printed = operator.run("add").stdout.strip()
    assert printed.startswith(f"{text},")
    assert len(Keyring(parse_keys(printed)).ids) == 2
    assert operator.file.read_text().strip() == text


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "set COUNTERSIGN_KEYS_FILE"),
        ({"COUNTERSIGN_KEYS_FILE": "/nowhere/keys"}, "cannot be read"),
        (
            {"COUNTERSIGN_KEYS": base64.b64encode(bytes(32)).decode()},
            "countersign keyring generate",
        ),
        ({"COUNTERSIGN_KEYS": "not a key"}, "not Base64"),
    ],
)
def test_what_cannot_be_used_is_said(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    monkeypatch.delenv("COUNTERSIGN_KEYS_FILE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for command in (["add"], ["status"], ["retire", "00000000"]):
        result = operator.run(*command)
        assert result.exit_code == 1
        assert said in result.stderr
