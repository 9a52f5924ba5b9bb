"""Starts beside a million live verifications, against an empty Redis."""

import secrets
import time

from redis.asyncio import Redis

from service.store import keys
from tests.bench.logins import Logins
from tests.bench.rig import Rig

LIVE = 1_000_000
_AT_ONCE = 2_000
_HOUR = 3_600_000


async def ratio(rig: Rig, people: Logins) -> tuple[float, float]:
    """Starts a second with them, of those without; GiB that Redis holds then."""
    redis = Redis.from_url(rig.redis_url)
    before = (await people.starts()).rate
    ids = await _fill(redis)
    crowded = (await people.starts()).rate
    memory = int((await redis.info("memory"))["used_memory"])
    await _clear(redis, ids)
    # Before and after them, for what a machine can do changes from one moment to the next.
    empty = (before + (await people.starts()).rate) / 2
    await redis.aclose()
    return crowded / empty, memory / 2**30


async def _fill(redis: Redis) -> list[str]:
    """Copies of a live verification, byte for byte, under ids of their own in all partitions."""
    record = await anext(aiter(redis.scan_iter("cs:*:v:*")))
    content = [await redis.dump(record), await redis.dump(record.replace(b":v:", b":c:"))]
    due, ids = int(time.time() * 1000) + _HOUR, list[str]()
    for begin in range(0, LIVE, _AT_ONCE):
        pipeline = redis.pipeline(transaction=False)
        for n in range(begin, begin + _AT_ONCE):
            partition = n % keys.PARTITIONS
            id_ = f"ver_{partition:02d}{secrets.token_hex(16)}"
            prefix = keys.prefix(partition)
            for kind, value in zip("vc", content, strict=True):
                pipeline.restore(f"{prefix}{kind}:{id_}", _HOUR, value or b"")
            pipeline.zadd(f"{prefix}due", {id_: due})
            ids.append(id_)
        await pipeline.execute()
    return ids


async def _clear(redis: Redis, ids: list[str]) -> None:
    for begin in range(0, LIVE, _AT_ONCE):
        pipeline = redis.pipeline(transaction=False)
        for id_ in ids[begin : begin + _AT_ONCE]:
            prefix = keys.prefix(keys.partition_of_id(id_))
            pipeline.unlink(*(f"{prefix}{kind}:{id_}" for kind in "vc"))
            pipeline.zrem(f"{prefix}due", id_)
        await pipeline.execute()
