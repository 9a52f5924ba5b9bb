"""Checking an export of a million events: how fast, next to what reading and hashing alone take, and in how
much memory."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from nacl.signing import SigningKey

from service.domain.chain import FIRST, Checkpoint, Head, link
from service.domain.ecs import Link, to_line
from service.store import keys

EVENTS = 1_000_000
_TYPES = ("verification.created", "delivery.begun", "delivery.accepted", "delivery.reported")
# A process begins with the peak of the one that started it, so a small one stands between.
_MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss)
sys.exit(status != 0)
"""


def write_export(path: Path, events: int = EVENTS) -> str:
    """An untouched export with one checkpoint, as it is read from the store; gives the public key."""
    rng, heads, seed = random.Random(3), dict.fromkeys(range(keys.PARTITIONS), FIRST), bytes(32)
    with path.open("w", encoding="utf-8") as out:
        for n in range(events):
            partition = rng.randrange(keys.PARTITIONS)
            event = {
                "type": _TYPES[n % 4], "at": 1_800_000_000_000 + n, "actor": "countersign", "country": "US",
                "verification": f"ver_{partition:02d}{n:032x}", "app": "shop", "purpose": "login",
                "recipient": f"{n:032x}", "masked": "+1********00", "delivery": 1, "sender": "long",
            }  # fmt: skip
            original, id_ = json.dumps(event), f"{1_800_000_000_000 + n}-0"
            head = heads[partition]
            hash_ = link(bytes.fromhex(head.hash), partition, id_, original).hex()
            heads[partition] = Head(head.sequence + 1, id_, hash_)
            line = to_line(partition, id_, original, Link(head.sequence + 1, hash_))
            out.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
    there = {partition: head for partition, head in heads.items() if head.sequence}
    signed = Checkpoint(number=1, at=0, previous="", key="k", heads=there).signed(seed)
    beside = path.with_name(f"{path.name}.checkpoints")
    beside.write_text(json.dumps(signed.to_members()) + "\n", encoding="utf-8")
    return SigningKey(seed).verify_key.encode().hex()


def measure(path: Path, key: str) -> tuple[float, float]:
    """Seconds that ``audit verify`` took as a process, and its peak memory in MiB."""
    words = [sys.executable, "-m", "service", "audit", "verify", str(path), "--public-key", key]
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *words],
        env=os.environ,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return time.perf_counter() - begun, int(done.stdout.split()[-1]) / 1024


def read_and_hash(path: Path) -> float:
    """Seconds that parsing each line and one BLAKE2b of it take, and nothing else."""
    begun = time.perf_counter()
    with path.open("rb") as lines:
        for line in lines:
            hashlib.blake2b(json.loads(line)["event"]["original"].encode(), digest_size=32).digest()
    return time.perf_counter() - begun
