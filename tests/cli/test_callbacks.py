"""``countersign callbacks``, as an operator runs it."""

import asyncio
import json
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from service.callbacks.signature import secrets_of
from service.cli.commands import app
from service.cli.secrets import new_key
from service.domain.keyring import Keyring, parse_keys
from service.store.callbacks import CallbackStore
from service.store.connection import Connection
from tests.harness import KEYS
from tests.store.stores import LEASE, NOW, Stores


@pytest.fixture(autouse=True)
def environ(valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Redis.from_url(valkey) as client:
        client.flushall()
    monkeypatch.setenv("REDIS_URL", valkey)
    monkeypatch.setenv("COUNTERSIGN_KEYS", KEYS)


def _call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["callbacks", *words])
    assert result.exit_code == code, result.output
    return result


def _listed() -> list[dict[str, Any]]:
    return list(json.loads(_call("list", "--json").stdout))


async def _dead(redis_url: str) -> str:
    """One dead letter; gives its id."""
    connection = await Connection.open(redis_url)
    try:
        stores = Stores(connection)
        store = CallbackStore(connection, stores.scripts, lease=LEASE)
        await stores.sent(callback_url="https://shop.example/hooks")
        held = await store.claim((await store.due(NOW))[0], NOW)
        assert held is not None
        assert await store.bury(held, NOW, "410") != "lost"
        return held.callback.id
    finally:
        await connection.close()


def test_a_receiver_gets_its_secret_and_public_key(monkeypatch: pytest.MonkeyPatch) -> None:
    (newest,) = secrets_of(Keyring(parse_keys(KEYS)), "shop")
    found = _call("secret", "--app", "shop")
    assert found.stdout.split() == [newest.secret, newest.public_key]
    assert found.stderr == ""
    assert _call("secret").stdout != _call("secret", "--app", "default").stdout
    monkeypatch.setenv("COUNTERSIGN_KEYS", f"{new_key()},{KEYS}")
    rotated = _call("secret", "--app", "shop")
    assert newest.secret not in rotated.stdout
    assert "previous" in rotated.stderr
    monkeypatch.delenv("COUNTERSIGN_KEYS")
    assert "COUNTERSIGN_KEYS is not set" in _call("secret", code=1).stderr


def test_dead_letters_are_listed_sent_again_and_dropped(valkey: str) -> None:
    id_ = asyncio.run(_dead(valkey))
    (letter,) = _listed()
    assert (letter["callback"]["id"], letter["tries"], letter["answer"]) == (id_, 1, "410")
    assert "410" in _call("list").stdout
    assert _call("resend", id_).stdout == "1 queued again\n"
    assert _listed() == []
    assert "there is no dead letter" in _call("resend", id_, code=1).stderr
    asyncio.run(_dead(valkey))
    assert _call("drop", "--all").stdout == "1 dropped\n"
    assert _listed() == []


@pytest.mark.parametrize("words", [(), ("msg_00_1-0", "--all")])
@pytest.mark.parametrize("command", ["resend", "drop"])
def test_which_letters_must_be_said_in_one_way(command: str, words: tuple[str, ...]) -> None:
    assert "or give --all" in _call(command, *words, code=1).stderr


@pytest.mark.parametrize("id_", ["msg_99_1-0", "msg_00_1-0", "nonsense"])
def test_a_letter_that_is_not_there_is_named(id_: str) -> None:
    assert id_ in _call("drop", id_, code=1).stderr
