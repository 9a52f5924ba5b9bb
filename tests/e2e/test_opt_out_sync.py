"""50,000 opt-outs through ``countersign opt-outs sync``: killed, resumed, in bounded memory."""

import asyncio
import base64
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from redis.asyncio import Redis

from service.store import keys
from tests.flow.syncing import Syncing, syncing
from tests.harness import KEYS, TELNYX_KEY, UP_TOML, eventually

COUNT, PAGES = 50_000, 200
MOST_GROWTH = 16_000
"""KiB above a sync of one page; the rows alone would be several times that."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.timeout(600)
async def test_50000_are_synced_after_kills_in_bounded_memory(
    redis: Redis, valkey: str, tmp_path: Path
) -> None:
    async with syncing(valkey) as at:
        environ = _environ(valkey, tmp_path, at)
        await at.fill(count=250)
        _, small = await _finish(_start(environ))
        await redis.flushall()
        await at.fill(count=COUNT)
        for page in sorted(random.sample(range(2, PAGES), 2)):
            await _kill_at(page, _start(environ), redis)
        counts, _ = await _finish(_start(environ))
        assert (counts["rows"], counts["recorded"]) == (COUNT, COUNT)
        assert len(await at.ours()) == COUNT
        events = Counter(event["recipient"] for event in await at.events("opt_out.recorded"))
        assert len(events) == COUNT
        assert set(events.values()) == {1}
        counts, whole = await _finish(_start(environ))
        assert counts["known"] == COUNT
        print(f"peak memory: {small} KiB for one page, {whole} KiB for {PAGES}")  # noqa: T201
        assert whole - small < MOST_GROWTH


def _start(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "service", "opt-outs", "sync", "--json"]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)


async def _finish(process: "subprocess.Popen[bytes]") -> tuple[dict[str, int], int]:
    """The summary, and the peak of its memory in KiB (of the program alone: what ``wait4`` says begins
    with the memory of the process that forked it)."""
    assert process.stdout is not None
    peak = 0

    async def ended() -> bool:
        nonlocal peak
        peak = max(peak, _peak_of(process.pid))
        return process.poll() is not None

    await eventually(ended, 300)
    said = process.stdout.read()
    process.stdout.close()
    assert process.returncode == 0
    return json.loads(said), peak


def _peak_of(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


async def _kill_at(page: int, process: "subprocess.Popen[bytes]", redis: Redis) -> None:
    async def reached() -> bool:
        assert process.poll() is None, "it ended before it could be killed"
        saved = await redis.get(keys.SYNC)
        run = json.loads(saved)["run"] if saved else None
        return run is not None and run["page"] >= page

    await eventually(reached, 120)
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    assert process.stdout is not None
    process.stdout.close()
    await redis.delete(keys.SYNC_LEASE)  # as its TTL does


def _environ(valkey: str, folder: Path, at: Syncing) -> dict[str, str]:
    config = folder / "countersign.toml"
    config.write_text(f'public_url = "http://127.0.0.1:9"\n{UP_TOML.read_text()}')
    public = bytes(SigningKey.generate().verify_key)
    return {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "COUNTERSIGN_CONFIG": str(config),
        "COUNTERSIGN_TELNYX_BASE_URL": f"{str(at.phone.base_url).rstrip('/')}/v2",
        "COUNTERSIGN_KEYS": KEYS,
        "REDIS_URL": valkey,
        "TELNYX_API_KEY": TELNYX_KEY,
        "TELNYX_PUBLIC_KEY": base64.b64encode(public).decode(),
    }
