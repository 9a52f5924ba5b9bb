"""A Cluster of three masters with replicas: one dies under logins, and slots move under them."""

import asyncio
import time
from pathlib import Path

import pytest
from redis.crc import key_slot

from service.store import keys
from tests.failover.logins import LIMITS, SENDERS, Logins, go_on
from tests.failover.servers import PASSWORD, Cluster, Node, clustered, until
from tests.harness import world

pytestmark = pytest.mark.cluster


async def test_logins_go_on_after_a_master_was_killed(tmp_path: Path) -> None:
    with clustered(tmp_path, replicas=1) as servers:
        async with world(servers.url, limits=LIMITS, senders=SENDERS) as app:
            dead, heir = servers.masters[1], servers.replicas[1]
            figures = await go_on(app, dead.kill, lambda: _takes_over(servers, heir))
            print(f"Cluster: {figures}")  # noqa: T201


def _takes_over(servers: Cluster, heir: Node) -> bool:
    """It is master, and who is left has heard of it."""
    left = (servers.masters[0], servers.masters[2])
    return bool(heir.ask("ROLE")[0] == "master") and all(
        "cluster_state:ok" in str(node.ask("CLUSTER", "INFO")) for node in left
    )


@pytest.mark.parametrize("move", ["by keys", "as a whole"])
async def test_no_login_is_refused_while_slots_move(tmp_path: Path, move: str) -> None:
    """Half of all partitions move to the next master; each stays half moved for a while, where scripts
    that name several keys are told to try again."""
    with clustered(tmp_path) as servers:
        async with world(servers.url, limits=LIMITS) as app:
            logins, stop = Logins(app), asyncio.Event()
            running = asyncio.create_task(logins.run(stop))
            await asyncio.sleep(0.5)
            before = len(logins.approved)
            moving = _move_by_keys if move == "by keys" else _move_as_a_whole
            for partition in range(0, keys.PARTITIONS, 2):
                slot = key_slot(keys.prefix(partition).encode())
                await asyncio.to_thread(moving, servers, slot)
            during = len(logins.approved) - before
            stop.set()
            await running
            await logins.check()
            print(  # noqa: T201
                f"Moved {move}: {during} logins meanwhile; answers {dict(logins.answers)}, "
                f"the slowest {logins.slowest:.2f} s"
            )
            assert during > 20
            assert set(logins.answers) == {200, 201}


def _move_by_keys(servers: Cluster, slot: int) -> None:
    """As redis-cli does it."""
    giver, taker = _giver_and_taker(servers, slot)
    giver_id, taker_id = giver.ask("CLUSTER", "MYID"), taker.ask("CLUSTER", "MYID")
    taker.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
    giver.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
    while found := giver.ask("CLUSTER", "GETKEYSINSLOT", slot, 4):
        to = ("127.0.0.1", taker.port, "", 0, 1_000, "AUTH", PASSWORD, "KEYS", *found)
        giver.ask("MIGRATE", *to)
        time.sleep(0.005)
    for node in (taker, giver):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", taker_id)


def _move_as_a_whole(servers: Cluster, slot: int) -> None:
    """As Valkey 9 does it."""
    giver, taker = _giver_and_taker(servers, slot)
    taker_id = taker.ask("CLUSTER", "MYID")
    giver.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", taker_id)
    until(lambda: servers.holder(slot) is taker)


def _giver_and_taker(servers: Cluster, slot: int) -> tuple[Node, Node]:
    giver = servers.holder(slot)
    return giver, servers.masters[(servers.masters.index(giver) + 1) % len(servers.masters)]
