"""API and worker in processes of their own: what one records, the other goes on with."""

from typing import Any

from redis.asyncio import Redis

from service.app import Role, build
from tests.harness import world

NUMBER = "+12025550103"  # accepted, then silence


async def test_a_worker_finishes_what_an_api_process_began(redis: Redis, valkey: str) -> None:
    sender = {"kind": "short_code", "from": "12345", "report_timeout": 0.3}
    async with world(valkey, role=Role.API, senders={"short": sender}) as app:
        started = await app.start(NUMBER)
        assert len(started["deliveries"]) == 1
        async with build(app.settings, Role.WORKER) as worker:
            v = await app.until(started["id"], lambda v: len(v["deliveries"]) > 1)
            assert v["deliveries"][1]["reason"] == "report_timeout"
            assert {route.path for route in worker.api.routes} == {"/livez", "/readyz", "/metrics"}


async def test_a_delivery_whose_process_died_is_uncertain_and_never_repeated(
    redis: Redis, valkey: str
) -> None:
    """The process dies after it recorded the delivery and before it knew what Telnyx said."""
    async with world(valkey, role=Role.API, codes={"uncertain_grace": 0.1}) as app:
        dead = app.service.advance._telnyx

        async def die(*_: object, **__: object) -> None:
            raise RuntimeError("killed here")

        dead.send = die  # type: ignore[method-assign,assignment]
        answer = await app.api.post("/v1/verifications", json={"to": NUMBER})
        assert answer.status_code == 500
        [due] = [str(key) async for key in redis.scan_iter("cs:*:due")]
        found: Any = await redis.zrange(due, 0, -1)
        id_ = str(found[0])
        # As if the lease had run out.
        record = f"{due.removesuffix('due')}v:{id_}"
        await redis.hset(record, "lease_until", "0")
        await redis.zadd(due, {id_: 0})
        async with build(app.settings, Role.WORKER):
            v = await app.until(id_, lambda v: len(v["deliveries"]) > 1)
            first, second = v["deliveries"][:2]
            assert (first["status"], second["reason"]) == ("uncertain", "uncertain")
            assert second["sender"] == "long"
