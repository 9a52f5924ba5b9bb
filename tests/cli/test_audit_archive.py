"""``countersign audit archive``: what is older is in a file before it is dropped, and all stays checkable."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.audit import archiving
from service.cli.commands import app
from service.clock import ManualClock
from service.domain.keyring import Keyring, parse_keys
from service.flow.sealing import Sealing
from service.store import keys
from service.store.archive import ArchiveStore
from service.store.chain import ChainStore
from service.store.connection import Connection
from service.store.scripts import Scripts
from service.telemetry import Metrics
from tests.harness import KEYS

DAY = 86_400_000
NOW = int(datetime.now(UTC).timestamp() * 1000)
PARTITIONS = (0, 17, 63)
DAYS, A_DAY = 5, 6


def _call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["audit", *words])
    assert result.exit_code == code, result.output
    return result


async def _seal(url: str, at: int) -> None:
    connection = await Connection.open(url)
    store = ChainStore(connection, Scripts(connection))
    sealing = Sealing(store, Keyring(parse_keys(KEYS)), ManualClock(at), Metrics())
    await sealing.seal()
    assert await sealing.checkpoint() is not None
    await connection.close()


@pytest.fixture
def store(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Five days' events, 15 to 11 days ago; each day was sealed at its end and counted."""
    monkeypatch.setenv("REDIS_URL", valkey)
    monkeypatch.setenv("COUNTERSIGN_KEYS", KEYS)
    with Redis.from_url(valkey, decode_responses=True) as client:
        client.flushall()
        for day in range(15, 15 - DAYS, -1):
            for n in range(A_DAY):
                _write(client, NOW - day * DAY + n, PARTITIONS)
            asyncio.run(_seal(valkey, NOW - day * DAY + A_DAY))
        _counted(client)
        yield client


def _write(store: Redis, at: int, partitions: tuple[int, ...]) -> None:
    for partition in partitions:
        event = json.dumps({"type": "delivery.begun", "at": at, "app": "shop"})
        store.xadd(f"{keys.prefix(partition)}audit", {"event": event}, id=f"{at}-1")


def _counted(store: Redis) -> None:
    for partition in PARTITIONS:
        store.set(f"{keys.prefix(partition)}st:cursor", f"{NOW}-0")


def _events(store: Redis) -> int:
    return sum(int(store.xlen(f"{keys.prefix(p)}audit")) for p in range(keys.PARTITIONS))


@pytest.fixture
def key() -> str:
    return _call("public-key").output.split()[0]


def _lines(file: Path) -> list[str]:
    with zstandard.open(file, "rt") as lines:
        return list(lines)


def test_what_is_older_moves_into_files_and_all_of_it_is_still_proven(
    store: Redis, key: str, tmp_path: Path
) -> None:
    _call("archive", str(tmp_path), "--keep", "13")
    _call("archive", str(tmp_path), "--keep", "12")
    first, second = sorted(tmp_path.glob("*.zst"))
    assert [first.name, second.name] == [
        "audit-00000000-00000003.ndjson.zst",
        "audit-00000003-00000004.ndjson.zst",
    ]
    a_day = A_DAY * len(PARTITIONS)
    assert (len(_lines(first)), len(_lines(second))) == (3 * a_day, a_day)
    assert _events(store) == a_day + 2  # and that there were two archives
    rest = tmp_path / "rest.ndjson"
    _write(store, NOW, (17,))
    _call("export", str(rest))

    for files, events in (
        ([first], 3 * a_day),
        ([first, second], 4 * a_day),
        ([rest], a_day + 2),
        ([first, second, rest], DAYS * a_day + 2),
    ):
        said = _call("verify", *map(str, files), "--public-key", key).output
        assert f"{events} events are as they were sealed" in said
    # An archive alone does not show what was before it.
    alone = _call("verify", str(second), "--public-key", key, code=1).output
    assert "removed: everything up to checkpoint 3" in alone
    _call("verify", str(second), "--public-key", key, "--behind", "3")
    assert (
        "removed: partition"
        in _call("verify", str(first), str(rest), "--public-key", key, code=1).output
    )
    assert "Nothing is old enough" in _call("archive", str(tmp_path), "--keep", "12").output
    recorded = [json.loads(line) for line in rest.read_text().splitlines()]
    assert [event["file"]["name"] for event in recorded if event["type"] == "trail.archived"] == [
        first.name,
        second.name,
    ]


def test_what_was_cut_off_at_the_beginning_is_no_archive(
    store: Redis, key: str, tmp_path: Path
) -> None:
    for partition in PARTITIONS:
        for stream in ("audit", "links"):
            name, first = f"{keys.prefix(partition)}{stream}", f"{NOW - 12 * DAY - 1}-0"
            store.xtrim(name, minid=first, approximate=False)
    export, beside = tmp_path / "trail.ndjson", tmp_path / "trail.ndjson.checkpoints"
    _call("export", str(export))
    assert (
        "removed: partition 00, event 1:"
        in _call("verify", str(export), "--public-key", key, code=1).output
    )
    beside.write_text('{"behind":3}\n' + beside.read_text())
    assert (
        "no sealed event says that it was archived"
        in _call("verify", str(export), "--public-key", key, code=1).output
    )


def test_what_was_tampered_with_is_not_archived(store: Redis, tmp_path: Path) -> None:
    stream = f"{keys.prefix(17)}audit"
    id_ = f"{NOW - 14 * DAY}-1"
    entries: Any = store.xrange(stream)
    store.delete(stream)
    for found, fields in entries:
        event = fields["event"].replace("shop", "chop") if found == id_ else fields["event"]
        store.xadd(stream, {"event": event}, id=found)
    said = _call("archive", str(tmp_path), "--keep", "13", code=1).output
    assert f"changed: partition 17, event {A_DAY + 1}, id {id_}" in said
    assert _events(store) == DAYS * A_DAY * len(PARTITIONS)


def test_what_statistics_have_not_counted_stays(store: Redis, tmp_path: Path) -> None:
    store.set(f"{keys.prefix(17)}st:cursor", f"{NOW - 14 * DAY}-0")
    assert "let a worker run" in _call("archive", str(tmp_path), "--keep", "13", code=1).output
    assert _events(store) == DAYS * A_DAY * len(PARTITIONS)


class _DiedError(Exception):
    pass


@pytest.mark.parametrize("where", ["_event", "_finish", "drop", "sign"])
def test_a_run_that_dies_loses_nothing_and_is_gone_on_with(
    store: Redis, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def die(*_: object) -> None:
        raise _DiedError

    with monkeypatch.context() as patch:
        patch.setattr(ArchiveStore if where == "drop" else archiving, where, die)
        died = CliRunner().invoke(app, ["audit", "archive", str(tmp_path), "--keep", "13"])
        assert isinstance(died.exception, _DiedError)
    _call("archive", str(tmp_path), "--keep", "12")
    rest = tmp_path / "rest.ndjson"
    _call("export", str(rest))
    files = [str(file) for file in sorted(tmp_path.glob("audit-*.zst"))]
    said = _call("verify", *files, str(rest), "--public-key", key).output
    archives = len(files)
    assert f"{DAYS * A_DAY * len(PARTITIONS) + archives} events are as they were" in said
    assert not list(tmp_path.glob("unfinished*"))


def test_an_archive_that_is_missing_drops_nothing(
    store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise _DiedError

    with monkeypatch.context() as patch:
        patch.setattr(archiving, "_finish", die)
        CliRunner().invoke(app, ["audit", "archive", str(tmp_path), "--keep", "13"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    events = _events(store)
    assert "is missing" in _call("archive", str(elsewhere), "--keep", "13", code=1).output
    assert _events(store) == events


def test_an_export_that_fell_behind_begins_anew(store: Redis, key: str, tmp_path: Path) -> None:
    export = tmp_path / "trail.ndjson"
    _call("export", str(export))
    lines = export.read_text().splitlines(keepends=True)
    export.write_text("".join(lines[:2]))
    _call("archive", str(tmp_path), "--keep", "13")
    assert "begin another file" in _call("export", str(export), code=1).output


def test_the_days_first_checkpoints_are_kept(store: Redis) -> None:
    kept: Any = store.xrange(keys.DAILY_CHECKPOINTS)
    assert [id_ for id_, _ in kept] == [f"{n}-0" for n in range(1, DAYS + 1)]
