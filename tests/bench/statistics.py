"""A million verifications' statistics: how long an answer takes, and what the counters weigh."""

import random
import time
from collections import Counter
from dataclasses import replace

from redis.asyncio import Redis

from service.api.body import answer
from service.api.stats import DeliveriesAnswer, delivery_rows
from service.domain.plan import SenderKind
from service.domain.stats import HOUR, Field, count, increments
from service.domain.verification import (
    Accepted,
    Delivery,
    DeliveryStatus,
    Reason,
    Report,
    Status,
    Verification,
)
from service.store import keys
from service.store.connection import Connection
from service.store.scripts import Scripts
from service.store.stats import Detail, StatsStore, _name
from tests.domain.strategies import fresh

HOURS, COUNTRIES, APPS = 24, 30, 3
SAMPLES, EACH = 100_000, 10  # each stands for so many alike: the counters' number is what weighs
SENDERS = ("short", "long", "brand", "pool")
CARRIERS = ("", "tmobile", "verizon", "at t", "vodafone")


def _verification(rng: random.Random, first_hour: int) -> Verification:
    begun = (first_hour + rng.randrange(HOURS)) * HOUR + rng.randrange(HOUR)
    delivered = rng.random() < 0.95
    proven = rng.random() < 0.9
    report = Report(
        event_id="e",
        status=DeliveryStatus.DELIVERED if delivered else DeliveryStatus.DELIVERY_FAILED,
        at=begun + int(rng.lognormvariate(8, 0.7)),
        message_id="m",
        cost="0.0051",
        currency="USD",
        carrier=rng.choice(CARRIERS) or None,
    )
    delivery = Delivery(
        number=1,
        sender=rng.choice(SENDERS),
        kind=SenderKind.LONG_CODE,
        reason=Reason.INITIAL,
        begun_at=begun,
        outcome=Accepted(begun + 80, "m"),
        reports=(report,),
        proven=proven,
    )
    v = fresh(
        app=f"app{rng.randrange(APPS)}", country=f"C{rng.randrange(COUNTRIES):02d}", created_at=begun,
        deliveries=(delivery,),
    )  # fmt: skip
    if not proven:
        return v
    typed = begun + int(rng.lognormvariate(9.5, 0.6))
    return replace(v, status=Status.APPROVED, last_attempt_at=typed)


async def measure(url: str) -> tuple[float, float, float]:
    """Milliseconds of an answer by country and sender (the best of five), MiB of all counters, MiB of the
    sums."""
    rng, redis = random.Random(7), Redis.from_url(url)
    last_hour = 1_800_000_000_000 // HOUR
    counters: dict[int, Counter[Field]] = {p: Counter() for p in range(keys.PARTITIONS)}
    for _ in range(SAMPLES):
        v = _verification(rng, last_hour - HOURS + 1)
        found = increments(v, None, count(v))
        counters[rng.randrange(keys.PARTITIONS)].update({f: by * EACH for f, by in found.items()})
    for partition, fields in counters.items():
        pipeline = redis.pipeline(transaction=False)
        for field, by in fields.items():
            name = f"{keys.prefix(partition)}st:{field.hour}"
            pipeline.hincrby(name, _name(field), by)
            pipeline.hset(name, "rev", 1)
        await pipeline.execute()
    connection = await Connection.open(url)
    store = StatsStore(connection, Scripts(connection), {})
    hours = range(last_hour - HOURS + 1, last_hour + 1)
    for hour in hours:
        await store.sum(str(hour), ())
    best = min([await _timed(store, hours) for _ in range(5)])
    weigh = [await redis.memory_usage(name) or 0 async for name in redis.scan_iter("cs:*:st:*")]
    sums = [await redis.memory_usage(keys.stats_sum(hour)) or 0 for hour in hours]
    await connection.close()
    await redis.aclose()
    return best * 1000, sum(weigh) / 2**20, sum(sums) / 2**20


async def _timed(store: StatsStore, hours: range) -> float:
    begun = time.perf_counter()
    found = await store.together(hours, Detail.SENDERS)
    rows = delivery_rows({hours[0]: found}, ("country", "sender"), lambda _: True)
    answer(DeliveriesAnswer(window="24h", since="", rows=rows))
    took = time.perf_counter() - begun
    assert len(found) == APPS * COUNTRIES * len(SENDERS)
    assert len(rows) == COUNTRIES * len(SENDERS)
    return took
