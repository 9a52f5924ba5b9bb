"""A worker's process dies by ``kill -9`` while its POST is under way."""

import asyncio
import os
import sys
from pathlib import Path

from service.store.keys import CallbackKeys
from tests.callbacks.conftest import Desk
from tests.callbacks.receiver import NEVER, Receiver
from tests.harness import KEYS


async def test_who_comes_after_posts_the_same_again(
    desk: Desk, receiver: Receiver, valkey: str
) -> None:
    receiver.answers = [NEVER]
    id_ = await desk.told(receiver.url)
    # Due by this machine's clock too; the lease then ends long before the time of the desk's.
    await desk.stores.connection.command("ZADD", CallbackKeys(int(id_[4:6]), id_).out, 0, id_)
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.callbacks.worker"),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "COUNTERSIGN_KEYS": KEYS, "REDIS_URL": valkey},
    )
    try:
        await receiver.until(1)
    finally:
        worker.kill()
        await worker.wait()
    await desk.poll()
    first, again = receiver.hooks
    assert (again.id, again.body) == (first.id, first.body)
    assert (await desk.callbacks.backlog()).subjects == 0
