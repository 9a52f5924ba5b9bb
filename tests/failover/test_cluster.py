"""A Cluster of three masters with replicas: one dies under logins, and slots move under them."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import VerifyKey
from redis.crc import key_slot

from service.clock import SystemClock
from service.domain.chain import audit_public_keys
from service.domain.chain_check import ChainCheck, check_checkpoints
from service.domain.keyring import Keyring, parse_keys
from service.flow.sealing import BrokenChainError, Sealing
from service.store import keys
from service.store.chain import ChainStore
from service.store.connection import Connection
from service.store.scripts import Scripts
from service.store.trail import START, TrailStore
from service.telemetry import Metrics
from tests.failover.logins import LIMITS, SENDERS, Logins, go_on
from tests.failover.servers import PASSWORD, Cluster, Node, clustered, until
from tests.harness import KEYS, world

pytestmark = pytest.mark.cluster


async def test_logins_go_on_after_a_master_was_killed(tmp_path: Path) -> None:
    with clustered(tmp_path, replicas=1) as servers:
        async with world(servers.url, limits=LIMITS, senders=SENDERS) as app:
            dead, heir = servers.masters[1], servers.replicas[1]
            figures = await go_on(app, dead.kill, lambda: _takes_over(servers, heir))
            await _is_trail_whole(servers)
            print(f"Cluster: {figures}")  # noqa: T201


def _takes_over(servers: Cluster, heir: Node) -> bool:
    """It is master, and who is left has heard of it."""
    left = (servers.masters[0], servers.masters[2])
    return bool(heir.ask("ROLE")[0] == "master") and all(
        "cluster_state:ok" in str(node.ask("CLUSTER", "INFO")) for node in left
    )


async def test_no_login_is_refused_while_keys_move_one_by_one(tmp_path: Path) -> None:
    """As redis-cli moves slots: each stays half moved for a while, where a script is told to ask the other
    server, or, if some of its keys are here and some there, to try again."""
    with clustered(tmp_path) as servers:
        figures = await _log_in_while(servers, _move_by_keys)
        refused = [
            sum(
                node.client.info("errorstats").get(f"errorstat_{word}", {}).get("count", 0)
                for node in servers.masters
            )
            for word in ("MOVED", "ASK", "TRYAGAIN")
        ]
        print(f"Keys moved: {figures}; MOVED, ASK, TRYAGAIN: {refused}")  # noqa: T201
        assert all(refused)


async def test_no_login_is_refused_while_slots_move_as_a_whole(tmp_path: Path) -> None:
    """As Valkey 9 does it."""
    with clustered(tmp_path) as servers:
        figures = await _log_in_while(servers, _move_as_a_whole)
        print(f"Slots moved: {figures}")  # noqa: T201


async def _log_in_while(servers: Cluster, move: Callable[[Cluster, list[int]], None]) -> str:
    """Sixteen partitions of one master move to another, eight at a time."""
    all_slots = [key_slot(keys.prefix(p).encode()) for p in range(keys.PARTITIONS)]
    slots = [slot for slot in all_slots if servers.holder(slot) is servers.masters[0]]
    async with world(servers.url, limits=LIMITS) as app:
        logins, stop = Logins(app), asyncio.Event()
        running = asyncio.create_task(logins.run(stop))
        await asyncio.sleep(0.5)
        before = len(logins.approved)
        for some in (slots[:8], slots[8:16]):
            await asyncio.to_thread(move, servers, some)
        during = len(logins.approved) - before
        stop.set()
        await running
        await logins.check()
        await _is_trail_whole(servers)
        assert during > 0
        assert logins.answers[503] == 0
        return f"{during} logins meanwhile, the slowest answer {logins.slowest:.2f} s"


async def _is_trail_whole(servers: Cluster) -> None:
    """Sealed while its streams and chains moved, and checked as an export is. A master that died may have
    taken signed events with it; then that is signed too."""
    connection = await Connection.open(servers.url)
    chain, trail = ChainStore(connection, Scripts(connection)), TrailStore(connection)
    sealing = Sealing(chain, Keyring(parse_keys(KEYS)), SystemClock(), Metrics())
    await sealing.seal()
    try:
        await sealing.checkpoint()
    except BrokenChainError as error:
        print(f"The trail: {error}")  # noqa: T201
        await sealing.accept_losses()
    signed = await chain.kept()
    check = ChainCheck(check_checkpoints(signed, _audit_keys()))
    async for entry in trail.read(START, await trail.now() + 1):
        check.take(entry.to_line())
    check.end()
    assert check.sealed > 100
    assert (check.unsealed, check.unsigned) == (0, 0)
    await connection.close()


def _audit_keys() -> list[VerifyKey]:
    found = audit_public_keys(Keyring(parse_keys(KEYS))).values()
    return [VerifyKey(bytes.fromhex(key)) for key in found]


def _move_by_keys(servers: Cluster, slots: list[int]) -> None:
    giver, taker, *_ = servers.masters
    giver_id, taker_id = giver.ask("CLUSTER", "MYID"), taker.ask("CLUSTER", "MYID")
    for slot in slots:
        taker.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
        giver.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
    while any([_move_some(slot, giver, taker) for slot in slots]):  # noqa: C419  each moves some
        time.sleep(0.1)
    for slot in slots:
        for node in (taker, giver):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", taker_id)


def _move_some(slot: int, giver: Node, taker: Node) -> bool:
    found = giver.ask("CLUSTER", "GETKEYSINSLOT", slot, 8)
    if found:
        to = ("127.0.0.1", taker.port, "", 0, 1_000, "AUTH", PASSWORD, "KEYS", *found)
        giver.ask("MIGRATE", *to)
    return bool(found)


def _refusals(node: Node, word: str) -> int:
    stats: Any = node.client.info("errorstats")
    return int(stats.get(f"errorstat_{word}", {}).get("count", 0))


def _move_as_a_whole(servers: Cluster, slots: list[int]) -> None:
    giver, taker, *_ = servers.masters
    taker_id = taker.ask("CLUSTER", "MYID")
    for slot in slots:
        giver.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", taker_id)
        until(partial(_holds, servers, slot, taker))


def _holds(servers: Cluster, slot: int, node: Node) -> bool:
    return servers.holder(slot) is node
