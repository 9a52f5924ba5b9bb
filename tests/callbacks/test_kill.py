"""A worker's process dies by ``kill -9`` while its POST is under way."""

import asyncio
import os
import sys
from base64 import b64encode
from pathlib import Path

from nacl.signing import SigningKey

from service.store.keys import CallbackKeys
from tests.callbacks.conftest import Desk
from tests.callbacks.receiver import NEVER, Receiver
from tests.harness import KEYS, UP_TOML, free_port

SECTION = "\n[callbacks]\nallow_http = true\nallow_private = true\n"


async def test_who_comes_after_posts_the_same_again(
    desk: Desk, receiver: Receiver, valkey: str, tmp_path: Path
) -> None:
    receiver.answers = [NEVER]
    id_ = await desk.told(receiver.url)
    # Due by this machine's clock too; the lease then ends long before the time of the desk's.
    await desk.stores.connection.command("ZADD", CallbackKeys(int(id_[4:6]), id_).out, 0, id_)
    worker = await _worker(valkey, tmp_path)
    try:
        await receiver.until(1)
    finally:
        worker.kill()
        await worker.wait()
    await desk.poll()
    first, again = receiver.hooks
    assert (again.id, again.body) == (first.id, first.body)
    assert (await desk.callbacks.backlog()).subjects == 0


async def _worker(redis_url: str, folder: Path) -> asyncio.subprocess.Process:
    config = folder / "countersign.toml"
    config.write_text(UP_TOML.read_text(encoding="utf-8") + SECTION, encoding="utf-8")
    arguments = ["serve", "--role", "worker", "--port", str(free_port()), "--config", str(config)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        *arguments,
        stderr=asyncio.subprocess.DEVNULL,
        env={
            **os.environ,
            "COUNTERSIGN_KEYS": KEYS,
            "COUNTERSIGN_PUBLIC_URL": "http://127.0.0.1:9",
            "COUNTERSIGN_TELNYX_BASE_URL": "http://127.0.0.1:9/v2",
            "REDIS_URL": redis_url,
            "TELNYX_API_KEY": "KEY0",
            "TELNYX_PUBLIC_KEY": b64encode(bytes(SigningKey.generate().verify_key)).decode(),
        },
    )
