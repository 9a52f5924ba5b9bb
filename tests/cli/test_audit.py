"""``countersign audit tail|export``: everything once, whatever interrupts it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.cli.in_order import read_in_order
from service.store import keys
from service.store.connection import Connection
from service.store.trail import START, Position, TrailStore, read_position


def _call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["audit", *words])
    assert result.exit_code == code, result.output
    return result


def _write(store: Redis, count: int, first: int = 0) -> None:
    """Events that many partitions have written, several in one millisecond."""
    pipeline = store.pipeline(transaction=False)
    for n in range(first, first + count):
        event = {"type": "guard.blocked", "at": n, "app": "shop", "limit": f"n{n}", "reason": "new"}
        stream = f"{keys.prefix(n * 7 % keys.PARTITIONS)}audit"
        pipeline.xadd(stream, {"event": json.dumps(event)}, id=f"{1 + n // 5}-{n % 5 + 1}")
    pipeline.execute()


@pytest.fixture
def store(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    monkeypatch.setenv("REDIS_URL", valkey)
    with Redis.from_url(valkey) as client:
        client.flushall()
        yield client


def test_an_export_is_whole_and_in_order_and_goes_on_where_it_ended(
    store: Redis, tmp_path: Path
) -> None:
    file = tmp_path / "trail.ndjson"
    _write(store, 3_000)
    _call("export", str(file))
    whole = file.read_bytes()
    assert [json.loads(line)["limit"] for line in whole.splitlines()] == [
        f"n{n}" for n in sorted(range(3_000), key=lambda n: (1 + n // 5, n % 5, n * 7 % 64))
    ]
    for torn in (len(whole), len(whole) - 5, whole.index(b"\n") + 1, 10, 0):
        file.write_bytes(whole[:torn])
        assert "events written" in _call("export", str(file)).output
        assert file.read_bytes() == whole
    _write(store, 10, first=3_000)
    _call("export", str(file))
    assert file.read_bytes().startswith(whole)
    assert len(file.read_bytes().splitlines()) == 3_010
    with file.open(encoding="utf-8") as lines:
        assert len(list(read_in_order(lines, lambda event: "limit" in event))) == 3_010


@pytest.mark.parametrize("content", ["something else\n", "no end", '{"id":"99-1-0"}\n'])
def test_another_file_is_left_as_it_is(store: Redis, tmp_path: Path, content: str) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content)
    assert "no export" in _call("export", str(file), code=1).output
    assert file.read_text() == content


def test_the_tail_is_in_plain_words(store: Redis) -> None:
    _write(store, 3)
    words = _call("tail", "--no-follow", "--since", "99999999999").output
    assert "The guard refused to send (n0), because new  shop" in words
    lines = _call("tail", "--no-follow", "--since", "99999999999", "--json").output.splitlines()
    assert [json.loads(line)["event"]["action"] for line in lines] == ["guard.blocked"] * 3


def test_positions_are_read_as_they_are_written() -> None:
    position = Position(1_800_000_000_123, 7, 63)
    assert read_position(str(position)) == position
    assert read_position("1-1-64") is read_position("") is read_position("x") is None


def test_a_read_goes_on_from_any_place(store: Redis, valkey: str) -> None:
    _write(store, 400)

    async def read() -> None:
        connection = await Connection.open(valkey)
        trail = TrailStore(connection)
        until = await trail.now()
        whole = [entry async for entry in trail.read(START, until, chunk=3)]
        assert len(whole) == await trail.count() == 400
        for place in range(0, 400, 37):
            rest = [e async for e in trail.read(whole[place].position, until, chunk=5)]
            assert rest == whole[place + 1 :]
        await connection.close()

    asyncio.run(read())
