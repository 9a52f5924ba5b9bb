"""The memory of an export, and of its check, does not grow with the trail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from service.store import keys
from tests.bench import trail

_SMALL, _LARGE = 50_000, 300_000
# A process begins with the peak of the one that started it, so a small one stands between.
_MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss)
sys.exit(status != 0)
"""
_ALLOWED = 16 * 1024  # KiB more for six times the events, which are some 200 MB as lines


def _write(store: Redis, first: int, end: int) -> None:
    for begin in range(first, end, 5_000):
        pipeline = store.pipeline(transaction=False)
        for n in range(begin, begin + 5_000):
            event = {"type": "delivery.begun", "at": n, "app": "shop", "masked": "+1********00"}
            stream = f"{keys.prefix(n * 7 % keys.PARTITIONS)}audit"
            pipeline.xadd(stream, {"event": json.dumps(event)}, id=f"{1 + n // 5}-{n % 5 + 1}")
        pipeline.execute()


def _peak(url: str, file: Path) -> int:
    """The most memory (KiB) that an export by a process of its own had."""
    words = [sys.executable, "-m", "service", "audit", "export", str(file)]
    environment = os.environ | {"REDIS_URL": url}
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *words],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    return int(done.stdout)


@pytest.mark.slow
def test_an_exports_memory_does_not_grow_with_the_trail(valkey: str, tmp_path: Path) -> None:
    peaks = []
    with Redis.from_url(valkey) as store:
        store.flushall()
        for first, end in ((0, _SMALL), (_SMALL, _LARGE)):
            _write(store, first, end)
            file = tmp_path / f"{end}.ndjson"
            peaks.append(_peak(valkey, file))
            with file.open("rb") as lines:
                assert sum(1 for _ in lines) == end
            file.unlink()
        store.flushall()
    assert peaks[1] < peaks[0] + _ALLOWED


@pytest.mark.slow
def test_the_memory_of_a_check_does_not_grow_with_the_export(tmp_path: Path) -> None:
    peaks = []
    for events in (_SMALL // 5, _LARGE // 5):
        path = tmp_path / f"{events}.ndjson"
        _, peak = trail.measure(path, trail.write_export(path, events))
        peaks.append(peak * 1024)
    assert peaks[1] < peaks[0] + _ALLOWED
