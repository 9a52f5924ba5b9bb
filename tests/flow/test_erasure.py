"""A person who is erased: her events are nobody's, the chain holds, and her STOP still counts."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from service.cli.commands import app as cli
from service.clock import SystemClock
from service.domain.keyring import Keyring, parse_keys
from service.store.connection import Connection
from service.store.lookup import open_keyring
from tests.harness import KEYS, World, eventually, world

_last_digits = count(42)


@pytest.fixture(scope="module")
async def _shared(valkey: str) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as client:
        await client.flushall()
    async with world(valkey) as running:
        yield running


@pytest.fixture
def app(_shared: World, valkey: str, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("REDIS_URL", valkey)
    monkeypatch.setenv("COUNTERSIGN_KEYS", KEYS)
    return _shared


@pytest.fixture
def number() -> str:
    """A person of the test's own."""
    return f"+120255501{next(_last_digits)}"


async def _audit(*words: str, code: int = 0) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["audit", *words])
    assert result.exit_code == code, result.output
    return result.output


async def _login(app: World, number: str, nth: int = 1) -> str:
    started = await app.start(number)
    code = (await app.codes(number, nth))[-1]
    assert (await app.verify(started["id"], code)).json()["approved"]
    await asyncio.sleep(0.01)  # Redis' clock has to pass the last event's millisecond
    return str(started["id"])


async def _events(app: World, recipient: str) -> list[dict[str, Any]]:
    answer = await app.api.get("/v1/audit/events", params={"recipient": recipient})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["events"])


async def _stored(valkey: str, number: str) -> tuple[str, dict[bytes, bytes]]:
    """The number's look-up id, and every key's content."""
    connection = await Connection.open(valkey)
    ring = await open_keyring(connection, Keyring(parse_keys(KEYS)), SystemClock().now())
    await connection.close()
    async with Redis.from_url(valkey) as client:
        content = {key: await client.dump(key) async for key in client.scan_iter()}
    return ring.lookup_id(number), {key: value for key, value in content.items() if value}


async def test_nothing_leads_from_the_number_to_its_events(
    app: World, number: str, valkey: str, tmp_path: Path
) -> None:
    id_ = await _login(app, number)
    before = await _events(app, number)
    (pseudonym,) = {event["recipient"] for event in before}
    assert {event["verification"] for event in before} == {id_}
    said = await _audit("erase", "--recipient", number)
    assert pseudonym in said
    assert number not in said
    assert await _events(app, number) == []
    await asyncio.sleep(0.01)
    after = await _events(app, pseudonym)
    assert [event["id"] for event in after[:-1]] == [event["id"] for event in before]
    assert after[-1]["type"] == "person.erased"
    assert (await app.api.get(f"/v1/verifications/{id_}")).status_code == 404

    lookup_id, stored = await _stored(valkey, number)
    tied = {key for key, value in stored.items() if lookup_id.encode() in key + value}
    kinds = {key.split(b":")[2] for key in tied}
    assert kinds <= {b"l", b"g"}, "limits alone may know of the number: they end by themselves"

    export, key = tmp_path / "trail.ndjson", (await _audit("public-key")).split()[0]
    await _audit("checkpoint")
    await asyncio.sleep(0.01)
    await _audit("export", str(export))
    assert "as they were sealed" in await _audit("verify", str(export), "--public-key", key)
    assert lookup_id not in export.read_text()


async def test_who_comes_back_is_somebody_else(app: World, number: str) -> None:
    await _login(app, number)
    (first,) = {event["recipient"] for event in await _events(app, number)}
    await _audit("erase", "--recipient", number)
    await _login(app, number, nth=2)
    (second,) = {event["recipient"] for event in await _events(app, number)}
    assert first != second


async def test_not_while_a_verification_is_under_way(app: World, number: str) -> None:
    started = await app.start(number)
    said = await _audit("erase", "--recipient", number, code=1)
    assert f"{started['id']} is under way" in said
    assert (await app.get(started["id"]))["status"] == "pending"
    await app.api.post(f"/v1/verifications/{started['id']}/cancel")
    await _audit("erase", "--recipient", number)


async def test_an_opt_out_outlives_the_person(app: World, number: str) -> None:
    await _login(app, number)
    await app.phone.post("/sandbox/inbound", json={"from": number, "text": "STOP"})

    async def refused() -> bool:
        answer = await app.api.post("/v1/verifications", json={"to": number})
        return answer.status_code == 403

    await eventually(refused)
    for id_ in {event.get("verification") for event in await _events(app, number)} - {None}:
        await app.api.post(f"/v1/verifications/{id_}/cancel")
    await _audit("erase", "--recipient", number)
    assert await refused()


async def test_who_is_not_known_cannot_be_erased(app: World, number: str) -> None:
    assert f"nothing that leads to +1********{number[-2:]}" in await _audit(
        "erase", "--recipient", number, code=1
    )
    assert "--recipient" in await _audit("erase", "--recipient", "020", code=1)
