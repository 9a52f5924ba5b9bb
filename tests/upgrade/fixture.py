"""What the release before left in Redis (``layout_1.ndjson``, which ``make_fixture.py`` makes), loaded as if
it had been made just now."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

FIXTURE = Path(__file__).parent / "layout_1.ndjson"
_DAY = 86_400_000
# A time in milliseconds: a number that stands alone, not some digits of a digest.
_TIME = re.compile(r"(?<![0-9A-Za-z_])(\d{13})(?![0-9A-Za-z_])")


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of the people who logged in through the old release."""

    said: Mapping[str, Any]

    @property
    def keys(self) -> str:
        return str(self.said["keys"])

    @property
    def api_key(self) -> str:
        return str(self.said["api_key"])

    def number(self, name: str) -> str:
        return str(self.said["numbers"][name])

    def id(self, name: str) -> str:
        return str(self.said[name]["id"])

    def codes(self, name: str) -> list[str]:
        return list(self.said[name]["codes"])


def read() -> tuple[Before, list[dict[str, Any]]]:
    """The people, and the keys; each time moved by as long as the fixture is old."""
    first, *lines = FIXTURE.read_text(encoding="utf-8").splitlines()
    said = json.loads(first)
    made_at, now = said["made_at"], time.time_ns() // 1_000_000

    def moved(match: re.Match[str]) -> str:
        at = int(match[1])
        return str(at + now - made_at) if abs(at - made_at) < _DAY else match[1]

    return Before(said), [json.loads(_TIME.sub(moved, line)) for line in lines]


async def load(redis: Redis) -> Before:
    """Put it into an empty database."""
    before, keys = read()
    pipe = redis.pipeline()
    for line in keys:
        key, value = line["key"], line["value"]
        match line["type"]:
            case "string":
                pipe.set(key, value)
            case "hash":
                pipe.hset(key, mapping=value)
            case "zset":
                pipe.zadd(key, dict(value))
            case "stream":
                for id_, fields in value:
                    pipe.xadd(key, fields, id=id_)
        if line["ttl"] is not None:
            pipe.pexpire(key, line["ttl"])
    await pipe.execute()
    return before
