"""A worker's deliveries as a process of their own, to be killed: ``python -m tests.callbacks.worker``."""

import asyncio
import os

from service.callbacks.client import CallbackClient
from service.callbacks.deliveries import LEASE, Deliveries
from service.clock import SystemClock
from service.domain.callback import CallbackRules
from service.domain.keyring import Keyring, parse_keys
from service.store.callbacks import CallbackStore
from service.store.connection import Connection
from service.store.scripts import Scripts
from service.telemetry import Metrics


async def main() -> None:
    connection = await Connection.open(os.environ["REDIS_URL"])
    deliveries = Deliveries(
        CallbackStore(connection, Scripts(connection), lease=LEASE),
        CallbackClient(CallbackRules(allow_http=True, allow_private=True)),
        Keyring(parse_keys(os.environ["COUNTERSIGN_KEYS"])),
        url=None,
        clock=SystemClock(),
        metrics=Metrics(),
    )
    await deliveries.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main())
