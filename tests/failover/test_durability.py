"""``durability = "replica"``: what may not be lost is answered once a replica has it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.store.connection import Connection
from tests.failover.logins import LIMITS
from tests.failover.servers import Node, clustered, watched
from tests.harness import World, eventually, world

pytestmark = pytest.mark.cluster
NUMBER, OTHER = "+12025550001", "+12025550002"
REPLICA = {"durability": "replica"}


@contextmanager
def _frozen(node: Node) -> Iterator[None]:
    node.server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.server.process.send_signal(signal.SIGCONT)


async def _try_all(app: World, id_: str, code: str) -> None:
    """Nothing that matters is answered as done; nothing is sent; reading goes on."""
    start = await app.api.post("/v1/verifications", json={"to": OTHER})
    verify = await app.verify(id_, code)
    opt_out = await app.api.put(f"/v1/opt-outs/{OTHER}")
    for answer in (start, verify, opt_out):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
    assert await app.messages(OTHER) == []
    assert (await app.api.get(f"/v1/verifications/{id_}")).status_code == 200
    assert (await app.api.get("/readyz")).status_code == 200


async def test_without_a_replica_nothing_is_approved_or_sent(tmp_path: Path) -> None:
    with watched(tmp_path, replicas=1, sentinels=1) as servers:
        async with world(servers.url, redis=REPLICA, limits=LIMITS) as app:
            started = await app.start(NUMBER)
            (code,) = await app.codes(NUMBER)
            with _frozen(servers.replicas[0]):
                await _try_all(app, started["id"], code)

            async def works() -> bool:
                answer = await app.api.post("/v1/verifications", json={"to": "+12025550005"})
                return answer.status_code == 201

            await eventually(works)
        async with world(servers.url, limits=LIMITS) as app:
            with _frozen(servers.replicas[0]):
                assert (await app.start("+12025550006"))["status"] == "pending"


async def test_a_cluster_s_replicas_are_waited_for_too(tmp_path: Path) -> None:
    with clustered(tmp_path, replicas=1) as servers:
        async with world(servers.url, redis=REPLICA, limits=LIMITS) as app:
            started = await app.start(NUMBER)
            (code,) = await app.codes(NUMBER)
            for replica in servers.replicas:
                replica.kill()
            await _try_all(app, started["id"], code)


async def test_writes_of_one_moment_share_one_wait(tmp_path: Path) -> None:
    with watched(tmp_path, replicas=1, sentinels=1) as servers:
        connection = await Connection.open(servers.url, copied=True)
        try:
            script = "return redis.call('SET', KEYS[1], '1')"
            sha = str(await connection.command("SCRIPT", "LOAD", script))
            runs = [connection.evalsha(sha, [f"k{i}"], [], copied=True) for i in range(100)]
            assert await asyncio.gather(*runs) == ["OK"] * 100
        finally:
            await connection.close()
        stats: Any = servers.primary.client.info("commandstats")
        assert 1 <= stats["cmdstat_wait"]["calls"] < 20
