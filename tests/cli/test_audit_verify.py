"""Stored events that were edited, dropped, put in, swapped or cut off: verify names the place."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.clock import SystemClock
from service.domain.keyring import Keyring, parse_keys
from service.flow.sealing import Sealing
from service.store.chain import ChainStore
from service.store.connection import Connection
from service.store.scripts import Scripts
from service.store.trail import Entry, Position, TrailStore
from service.telemetry import Metrics
from tests.cli.trail import COUNT, STREAM, Entries, call, edit, event, rewrite, sealed_store, write
from tests.harness import KEYS


@pytest.fixture
def store(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Sealed events in three partitions, and a checkpoint."""
    monkeypatch.setenv("REDIS_URL", valkey)
    monkeypatch.setenv("COUNTERSIGN_KEYS", KEYS)
    with sealed_store(valkey) as client:
        yield client


@pytest.fixture
def key() -> str:
    return call("public-key").output.split()[0]


def _drop(entries: Entries) -> Entries:
    return [entry for entry in entries if entry[0] != "7-1"]


def _insert(entries: Entries) -> Entries:
    return [*entries[:6], ("6-5", event(6)), *entries[6:]]


def _swap(entries: Entries) -> Entries:
    swapped = [event for _, event in entries]
    swapped[6], swapped[7] = swapped[7], swapped[6]
    return [(id_, event) for (id_, _), event in zip(entries, swapped, strict=True)]


def _truncate(entries: Entries) -> Entries:
    return entries[:-3]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (edit, "changed: partition 17, event 7, id 7-1:"),
        (_drop, "removed: partition 17, event 7:"),
        (_insert, "inserted: partition 17, id 6-5:"),
        (_swap, "changed: partition 17, event 7, id 7-1:"),
        (_truncate, "truncated: partition 17, event 18:"),
    ],
)
def test_what_is_done_to_stored_events_is_named(
    store: Redis, key: str, tmp_path: Path, change: Callable[[Entries], Entries], named: str
) -> None:
    rewrite(store, change)
    file = tmp_path / "trail.ndjson"
    call("export", str(file))
    said = call("verify", str(file), "--public-key", key, code=1).output
    assert named in said


def test_what_is_whole_is_said_to_be_so(store: Redis, key: str, tmp_path: Path) -> None:
    file, pem = tmp_path / "trail.ndjson", tmp_path / "keys"
    pem.write_text(f"{'0' * 63}1\n{key}\n")
    store.xadd(STREAM, {"event": event(99)})
    call("export", str(file))
    said = call("verify", str(file), "--public-key", str(pem)).output
    assert "60 events are as they were sealed; 1 are not sealed yet" in said
    assert "the last of 1 is number 1" in said
    call("checkpoint")
    file.unlink()
    call("export", str(file))
    assert "61 events" in call("verify", str(file), "--public-key", key).output
    assert (
        "no public key given"
        in call("verify", str(file), "--public-key", "0" * 63 + "1", code=1).output
    )
    call("verify", str(file), "--public-key", "soon", code=1)


def test_many_that_seal_make_one_chain(store: Redis, valkey: str, key: str, tmp_path: Path) -> None:
    async def seal() -> None:
        write(store, COUNT + 1, 200)
        connections = [await Connection.open(valkey) for _ in range(4)]
        sealing = [
            Sealing(ChainStore(c, Scripts(c)), Keyring(parse_keys(KEYS)), SystemClock(), Metrics())
            for c in connections
        ]
        await asyncio.gather(*(one.seal() for one in sealing))
        for connection in connections:
            await connection.close()

    asyncio.run(seal())
    file = tmp_path / "trail.ndjson"
    call("checkpoint")
    call("export", str(file))
    assert "597 events" in call("verify", str(file), "--public-key", key).output


def test_what_was_exported_before_it_was_sealed_comes_again_with_its_link(
    store: Redis, key: str, tmp_path: Path
) -> None:
    file, straight = tmp_path / "trail.ndjson", tmp_path / "straight.ndjson"
    for n in range(3):
        store.xadd(STREAM, {"event": event(n)}, id=f"{COUNT + 1 + n}-1")
        call("export", str(file))
        call("checkpoint")
    call("export", str(file))
    call("export", str(straight))
    assert file.read_bytes() == straight.read_bytes()
    said = call("verify", str(file), "--public-key", key).output
    assert "63 events are as they were sealed; 0 are not sealed yet" in said


def test_a_checkpoint_that_is_made_during_an_export_accuses_nobody(
    store: Redis, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TrailStore.read

    async def read_while_others_seal(
        self: TrailStore, after: Position, until: int, **more: Any
    ) -> AsyncIterator[Entry]:
        async for entry in read(self, after, until, **more):
            yield entry
        store.xadd(STREAM, {"event": event(99)})
        sealing = Sealing(
            ChainStore(self._connection, Scripts(self._connection)),
            Keyring(parse_keys(KEYS)),
            SystemClock(),
            Metrics(),
        )
        await sealing.seal()
        assert await sealing.checkpoint() is not None

    file = tmp_path / "trail.ndjson"
    with monkeypatch.context() as patch:
        patch.setattr(TrailStore, "read", read_while_others_seal)
        call("export", str(file))
    assert "60 events" in call("verify", str(file), "--public-key", key).output
    call("export", str(file))
    assert "61 events" in call("verify", str(file), "--public-key", key).output
