"""What ``durability = "replica"`` costs: the writes of logins with and without it, on one primary."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from service.store.connection import Connection
from service.store.keys import new_id
from tests.failover.servers import watched
from tests.store.stores import Stores

AT_ONCE = 32
_EACH = 20
_ROUNDS = 6


async def measure() -> tuple[list[float], list[float]]:
    """Seconds that each login's writes took: answered by the primary alone, and once the replica has what
    may not be lost. Both in turns, so that whatever else this machine does meets both."""
    took: tuple[list[float], list[float]] = ([], [])
    with TemporaryDirectory() as folder, watched(Path(folder), replicas=1, sentinels=1) as servers:
        connections = [
            await Connection.open(servers.url, copied=copied) for copied in (False, True)
        ]
        recipients = (f"{n:08x}" + "0" * 24 for n in itertools.count())
        for number in range(_ROUNDS * 2):
            stores = Stores(connections[number % 2])
            people = (_person(stores, recipients, took[number % 2]) for _ in range(AT_ONCE))
            await asyncio.gather(*people)
        for connection in connections:
            await connection.close()
    return took


async def _person(stores: Stores, recipients: Iterator[str], took: list[float]) -> None:
    for _ in range(_EACH):
        recipient = next(recipients)
        began = time.perf_counter()
        await stores.sent(recipient_id=recipient, id=new_id(recipient))
        took.append(time.perf_counter() - began)
