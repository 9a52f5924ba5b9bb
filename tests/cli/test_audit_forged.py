"""Somebody can write everything in Redis, and has no master key: what is older than the last checkpoint
cannot be passed off as something else. And what fails by itself (a fail-over, a clock) locks nobody out."""

import asyncio
import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.clock import ManualClock
from service.domain.chain import FIRST, Head, extend, links
from service.flow.sealing import CHECKPOINT_INTERVAL, BrokenChainError, Sealing
from service.store import keys
from tests.cli.trail import (
    CHAIN,
    COUNT,
    LINKS,
    PARTITIONS,
    STREAM,
    call,
    edit,
    event,
    rewrite,
    sealed_store,
    sealing,
    write,
)
from tests.flow.rotation import master_key

Store = Any  # redis-py types its answers for both of its modes at once
EVERYTHING = len(PARTITIONS) * COUNT


@pytest.fixture
def store(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    ring = master_key()
    monkeypatch.setenv("REDIS_URL", valkey)
    monkeypatch.setenv("COUNTERSIGN_KEYS", ring)
    with sealed_store(valkey) as client:
        yield client


@pytest.fixture
def key(store: Store) -> str:
    return call("public-key").output.split()[0]


@pytest.fixture
def ring(store: Store) -> str:
    return os.environ["COUNTERSIGN_KEYS"]


async def _call(*words: str, code: int = 0) -> str:
    """In a thread: a command has a loop of its own."""
    return (await asyncio.to_thread(call, *words, code=code)).output


async def _export(folder: Path, name: str = "trail") -> str:
    path = folder / f"{name}.ndjson"
    await _call("export", str(path))
    return str(path)


def _forge(store: Store) -> None:
    """An event is another, and every link and the head fit it: no key is needed for that."""
    rewrite(store, edit)
    entries = [(id_, fields["event"]) for id_, fields in store.xrange(STREAM)]
    head = extend(FIRST, 17, entries)
    store.delete(LINKS)
    hashes = base64.b64encode(b"".join(links(FIRST, 17, entries))).decode()
    ids = " ".join(id_ for id_, _ in entries)
    store.xadd(LINKS, {"first": 1, "ids": ids, "hashes": hashes}, id=head.id)
    _set_head(store, head)


def _set_head(store: Store, head: Head) -> None:
    store.hset(CHAIN, mapping={"sequence": head.sequence, "hash": head.hash, "id": head.id})


async def _is_refused(sealing_: Sealing, why: str) -> None:
    await sealing_.seal()
    with pytest.raises(BrokenChainError, match=why):
        await sealing_.checkpoint()


async def test_a_chain_that_was_made_anew_is_not_signed(
    store: Store, key: str, ring: str, tmp_path: Path, valkey: str
) -> None:
    async with sealing(valkey, ring) as running, sealing(valkey, ring) as started_later:
        await running()
        _forge(store)
        write(store, COUNT + 1, COUNT + 3)
        for one in (running, started_later):
            await _is_refused(one, "checkpoint 1 signed is not there any more in partition 17")
    said = await _call("verify", await _export(tmp_path), "--public-key", key, code=1)
    assert f"rewritten: partition 17, event {COUNT}" in said
    assert "nothing was signed" in await _call("checkpoint", code=1)


async def test_who_removes_the_checkpoints_too_is_told_by_a_running_worker_and_by_kept_ones(
    store: Store, key: str, ring: str, tmp_path: Path, valkey: str
) -> None:
    await _export(tmp_path, "kept")
    kept = tmp_path / "kept.ndjson.checkpoints"
    async with sealing(valkey, ring) as running:
        await running()
        store.delete(keys.CHECKPOINTS, keys.DAILY_CHECKPOINTS)
        unsigned = await _export(tmp_path, "unsigned")
        assert "nothing is proven" in await _call("verify", unsigned, "--public-key", key, code=1)
        _forge(store)
        await _is_refused(running, "checkpoint 1 and all before it are gone")
    await _call("checkpoint")  # a process that knows nothing of it
    forged = await _export(tmp_path, "forged")
    said = await _call("verify", forged, "--public-key", key, "--checkpoints", str(kept), code=1)
    assert "checkpoint 1: two differ that have this number" in said


async def test_a_store_that_was_set_back_is_told_the_same_way(
    store: Store, key: str, ring: str, tmp_path: Path, valkey: str
) -> None:
    names = [name for p in PARTITIONS for name in _names(p)]
    with Redis.from_url(valkey) as raw:
        before = {name: raw.dump(name) for name in names}
        write(store, COUNT + 1, COUNT + 5)
        async with sealing(valkey, ring) as running:
            await running()
            await running.checkpoint()
            await _export(tmp_path, "kept")
            for name, content in before.items():
                raw.restore(name, 0, content, replace=True)
            await _is_refused(running, "the store was set back")
    write(store, COUNT + 7, COUNT + 9)
    await _call("checkpoint")
    later, kept = await _export(tmp_path, "later"), tmp_path / "kept.ndjson.checkpoints"
    said = await _call("verify", later, "--public-key", key, "--checkpoints", str(kept), code=1)
    assert "checkpoint 2: two differ that have this number" in said
    # An export that goes on is such a memory by itself.
    assert await _call("verify", await _export(tmp_path, "kept"), "--public-key", key, code=1)


def _names(partition: int) -> tuple[str, ...]:
    prefix = keys.prefix(partition)
    return (
        f"{prefix}audit",
        f"{prefix}chain",
        f"{prefix}links",
        keys.CHECKPOINTS,
        keys.DAILY_CHECKPOINTS,
    )


@pytest.mark.parametrize("change", [{"hash": "0" * 64}, {"sequence": 19}, {"id": "9-1"}])
async def test_a_head_that_is_none_is_not_signed(
    store: Store, ring: str, valkey: str, change: dict[str, str]
) -> None:
    store.hset(CHAIN, mapping=change)
    write(store, COUNT + 1, COUNT + 2)
    async with sealing(valkey, ring) as found:
        await _is_refused(found, "partition 17")


async def test_an_event_of_the_future_which_hides_what_follows_is_told(
    store: Store, ring: str, valkey: str
) -> None:
    async with sealing(valkey, ring) as running:
        await running()
        assert b"countersign_audit_chain_broken 0.0" in running._metrics.render()
        store.xadd(STREAM, {"event": event(21)}, id="9999999999999-1")
        await running()
        assert b"countersign_audit_chain_broken 1.0" in running._metrics.render()


async def test_an_archive_that_was_never_made_hides_nothing(
    store: Store, key: str, ring: str, tmp_path: Path, valkey: str
) -> None:
    signed = store.xrange(keys.CHECKPOINTS)[0][1]["checkpoint"]
    archive = f'{{"file":"audit.zst","end":{signed}}}'
    store.hset(keys.ARCHIVED, mapping={"number": 1, "archive": archive})
    for partition in PARTITIONS:
        for stream in ("audit", "links"):
            store.xtrim(f"{keys.prefix(partition)}{stream}", maxlen=0, approximate=False)
    said = '{"type":"trail.archived","at":1,"checkpoint":1,"file":"audit.zst","digest":"00"%s}'
    for signature in ("", ',"signature":"AAAA"'):
        store.xadd(f"{keys.prefix(0)}audit", {"event": said % signature})
    await _call("checkpoint")
    found = await _call("verify", await _export(tmp_path), "--public-key", key, code=1)
    assert "removed: everything up to checkpoint 1" in found


async def test_what_a_fail_over_lost_is_said_and_all_goes_on(
    store: Store, key: str, tmp_path: Path
) -> None:
    """On a Cluster the server of a partition may lose what the checkpoints' server has."""
    head, links = store.hgetall(CHAIN), store.xrange(LINKS)
    write(store, COUNT + 1, COUNT + 11)
    await _call("checkpoint")
    rewrite(store, lambda entries: entries[: COUNT + 5])
    store.hset(CHAIN, mapping=head)
    store.delete(LINKS)
    store.xadd(LINKS, links[0][1], id=links[0][0])
    write(store, COUNT + 11, COUNT + 13)
    assert "partition 17" in await _call("checkpoint", code=1)
    assert "truncated" in (
        await _call("verify", await _export(tmp_path), "--public-key", key, code=1)
    )

    said = await _call("checkpoint", "--accept-losses")
    assert "Partition 17: what was signed after event 20 is lost." in said
    for n in range(2):
        write(store, COUNT + 13 + n, COUNT + 14 + n)
        await _call("checkpoint")
    said = await _call("verify", await _export(tmp_path, "after"), "--public-key", key)
    assert f"{EVERYTHING + 3 * 14 - 5} events are as they were sealed; 0 are not sealed" in said
    assert "Lost, as checkpoint 3 says: what was signed of partition 17 after event 20." in said
    # What is not lost is held as ever, before it and behind it.
    for n in (7, COUNT + 12):
        _replace(store, n, event(99))
        said = await _call("verify", await _export(tmp_path, f"{n}"), "--public-key", key, code=1)
        assert "changed: partition 17, event" in said
        _replace(store, n, event(n))


def _replace(store: Store, n: int, one: str) -> None:
    rewrite(store, lambda entries: [(id_, one if id_ == f"{n}-1" else e) for id_, e in entries])


async def test_a_page_of_another_head_is_not_sealed_onto_a_chain(
    store: Store, ring: str, valkey: str
) -> None:
    write(store, COUNT + 1, COUNT + 2)
    async with sealing(valkey, ring) as found:
        pages = await found._store.unsealed(await found._store.waiting(), 500)
        store.hset(CHAIN, "hash", "0" * 64)
        assert set(await found._store.seal(pages)) == {3, 63}


async def test_many_pages_are_sealed_to_their_end(
    store: Store, ring: str, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.flow.sealing._PAGE", 3)
    monkeypatch.setattr("service.flow.sealing._PAGES", 2)
    write(store, COUNT + 1, COUNT + 12)
    async with sealing(valkey, ring) as found:
        assert await found() == 3 * 11
        assert await found() == 0
        assert {head.sequence for head in (await found._store.heads()).values()} == {COUNT + 11}


async def test_a_clock_that_was_set_back_does_not_end_the_signing(
    store: Store, ring: str, valkey: str
) -> None:
    store.delete(keys.CHECKPOINTS, keys.DAILY_CHECKPOINTS)
    async with sealing(valkey, ring) as found:
        assert isinstance(found._clock, ManualClock)
        for moved in (0, 86_400_000, -86_400_000, CHECKPOINT_INTERVAL):
            found._clock.move(moved)
            write_at = int(store.xrevrange(STREAM, count=1)[0][0].split("-")[0]) + 1
            write(store, write_at, write_at + 1)
            await found()
            last = await found._store.last_checkpoint()
            assert last is not None
            assert (last.at, last.heads) == (found._clock.now(), await found._store.heads())


async def test_one_public_key_checks_what_all_keys_signed(
    store: Store, key: str, tmp_path: Path, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, added = os.environ["COUNTERSIGN_KEYS"], master_key()
    for step, now in ((f"{ring},{added}", 1), (f"{added},{ring}", 2), (added, 3)):
        async with sealing(valkey, step, now * 1_000_000) as found:
            await found()  # nothing happened, and yet the keys are signed
            write(store, COUNT + now, COUNT + now + 1)
            await found.seal()
            assert await found.checkpoint() is not None
    monkeypatch.setenv("COUNTERSIGN_KEYS", added)
    newest = (await _call("public-key")).split()
    export = await _export(tmp_path)
    for one in (*newest, key):
        said = await _call("verify", export, "--public-key", one)
        assert f"{EVERYTHING + 9} events are as they were sealed" in said
    strange = await _call("verify", export, "--public-key", "0" * 63 + "1", code=1)
    assert "no public key given has signed it" in strange
    for partition in PARTITIONS:
        store.set(f"{keys.prefix(partition)}st:cursor", f"{COUNT + 9}-0")
    # What a key signed that was retired since can be archived all the same.
    assert "events are in" in await _call("archive", str(tmp_path), "--keep", "0")
