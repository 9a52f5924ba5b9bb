"""Bytes in Redis of a live and of a finished verification, audit trail and tallies apart."""

import asyncio

from redis.asyncio import Redis

from service.cli.bench.people import numbers
from service.cli.bench.wire import Client
from tests.bench.rig import Rig

COUNT = 2_000
_CREATED = 201


async def bytes_each(rig: Rig) -> tuple[float, float]:
    """Of one that waits for its code, and of one that is over; by MEMORY USAGE of its own keys."""
    client, redis = await Client.connect(rig.url), Redis.from_url(rig.redis_url)
    ids = []
    source = numbers()
    for _ in range(COUNT):
        number = next(source)
        body = {"to": number, "purpose": "memory"}
        status, started = await client.ask("POST", "/v1/verifications", body, rig.key)
        if status == _CREATED:  # not if the machine is busy with something else
            ids.append(started["id"])
        rig.messages.pop(number, None)
    live = await _own(redis, ids)
    for id_ in ids:
        await client.ask("POST", f"/v1/verifications/{id_}/cancel", key=rig.key)
    await asyncio.sleep(2.5)  # what it counts for is kept in its record
    over = await _own(redis, ids)
    client.close()
    await redis.aclose()
    return live, over


async def _own(redis: "Redis", ids: list[str]) -> float:
    pipeline = redis.pipeline(transaction=False)
    for id_ in ids:
        for kind in "vc":
            pipeline.memory_usage(f"cs:{{{id_[4:6]}}}:{kind}:{id_}", samples=0)
    return sum(size or 0 for size in await pipeline.execute()) / len(ids)
