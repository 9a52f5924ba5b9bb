"""A trail that tests tamper with: three partitions' events, sealed and signed."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.clock import ManualClock
from service.domain.keyring import Keyring, parse_keys
from service.flow.sealing import Sealing
from service.store import keys
from service.store.chain import ChainStore
from service.store.connection import Connection
from service.store.scripts import Scripts
from service.telemetry import Metrics
from tests.harness import KEYS

PARTITIONS = (3, 17, 63)
COUNT = 20
STREAM = f"{keys.prefix(17)}audit"
CHAIN, LINKS = f"{keys.prefix(17)}chain", f"{keys.prefix(17)}links"
Entries = list[tuple[str, str]]


def call(*words: str, code: int = 0) -> Result:
    """``countersign audit ...``."""
    result = CliRunner().invoke(app, ["audit", *words])
    assert result.exit_code == code, result.output
    return result


def event(n: int, **more: object) -> str:
    return json.dumps({"type": "delivery.begun", "at": n, "app": "shop", "delivery": n, **more})


def write(store: "Redis", first: int, end: int) -> None:
    """Events in each of the partitions."""
    for n in range(first, end):
        for partition in PARTITIONS:
            store.xadd(f"{keys.prefix(partition)}audit", {"event": event(n)}, id=f"{n}-1")


@contextmanager
def sealed_store(url: str) -> Iterator["Redis"]:
    """Sealed events in three partitions, and a checkpoint."""
    with Redis.from_url(url, decode_responses=True) as client:
        client.flushall()
        write(client, 1, COUNT + 1)
        call("checkpoint")
        yield client


def rewrite(store: "Redis", change: Callable[[Entries], Entries]) -> None:
    """A stream cannot be edited: whoever can do everything in Redis makes it anew."""
    entries: Any = store.xrange(STREAM)
    store.delete(STREAM)
    for id_, one in change([(id_, fields["event"]) for id_, fields in entries]):
        store.xadd(STREAM, {"event": one}, id=id_)


def edit(entries: Entries) -> Entries:
    return [(i, event(99) if i == "7-1" else one) for i, one in entries]


@asynccontextmanager
async def sealing(url: str, ring: str = KEYS, now: int = 1_000_000) -> AsyncIterator[Sealing]:
    """What a worker runs."""
    connection = await Connection.open(url)
    store = ChainStore(connection, Scripts(connection))
    try:
        yield Sealing(store, Keyring(parse_keys(ring)), ManualClock(now), Metrics())
    finally:
        await connection.close()
