"""The same store over a real Cluster: three masters started from the bundled binary."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.cli import embedded
from service.domain.verification import Status
from service.store import keys
from service.store.callbacks import CallbackStore
from service.store.connection import Connection
from service.store.recipients import OptOut
from service.store.setup import check_setup
from tests.harness import PATIENCE, free_port
from tests.store.stores import LEASE, NOW, Stores

SLOTS = 16_384
PASSWORD = "cluster"
NODES = 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        ports = [free_port() for _ in range(NODES)]
        for port in ports:
            stack.enter_context(_node(tmp_path_factory.mktemp(f"node{port}"), port))
        nodes = [
            stack.enter_context(Redis(port=port, password=PASSWORD, decode_responses=True))
            for port in ports
        ]
        for number, node in enumerate(nodes):
            first, end = SLOTS * number // NODES, SLOTS * (number + 1) // NODES
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            node.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0])
        for node in nodes:
            _wait_until_whole(node)
        yield f"redis+cluster://:{PASSWORD}@127.0.0.1:{ports[0]}"


def _node(data: Path, port: int) -> embedded.EmbeddedValkey:
    extra = ["cluster-enabled yes", "cluster-node-timeout 1000", f"masterauth {PASSWORD}"]
    server = embedded.start(data, password=PASSWORD, port=port, extra=extra)
    server.wait_ready()
    return server


def _wait_until_whole(node: Redis) -> None:
    """Each node must know all slots: redis-py leaks its connections when it finds too few."""
    deadline = time.monotonic() + PATIENCE
    while True:
        state = str(node.execute_command("CLUSTER", "INFO"))  # type: ignore[no-untyped-call]
        slots: Any = node.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
        covered = sum(end - start + 1 for start, end, *_ in slots)
        if "cluster_state:ok" in state and covered == SLOTS:
            return
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


@pytest.fixture
async def clustered(cluster: str) -> AsyncIterator[Stores]:
    connection = await Connection.open(cluster)
    await connection.command("FLUSHALL")
    yield Stores(connection)
    await connection.close()


async def test_a_verification_lives_its_life_on_a_cluster(clustered: Stores) -> None:
    await check_setup(clustered.connection)
    made = []
    for number in range(12):  # enough partitions to lie on every master
        recipient = f"{number * 5:08x}" + "0" * 24
        claim = await clustered.sent(recipient_id=recipient, id=keys.new_id(recipient))
        made.append(claim.verification.id)
        assert await clustered.report(claim.verification.id) == "due"
    due = dict(await clustered.verifications.due(NOW))
    assert set(made) <= due.keys()
    held = await clustered.verifications.claim(made[0], NOW)
    assert held is not None
    assert await clustered.close(held) == "ok"
    assert (await clustered.read(made[0])).status is Status.EXPIRED
    assert await clustered.verifications.claim(made[1], NOW + LEASE) is not None


async def test_opt_outs_are_listed_across_the_masters(clustered: Stores) -> None:
    for number in range(8):
        recipient = f"{number * 7:08x}" + "1" * 24
        entry = OptOut("+1********00", NOW + number, "api")
        await clustered.recipients.opt_out(recipient, entry, actor="key")
    found, cursor = 0, (0, 0)
    while True:
        page = await clustered.recipients.list_opt_outs(cursor, 3)
        found += len(page.items)
        if page.next is None:
            break
        cursor = page.next
    assert found == 8
    assert abs(await clustered.connection.time() - NOW) > 0


async def test_callbacks_flow_on_a_cluster(clustered: Stores) -> None:
    store = CallbackStore(clustered.connection, clustered.scripts, lease=LEASE)
    await store.queue_the_rest(True)
    told = set()
    for number in range(6):
        recipient = f"{number * 11:08x}" + "2" * 24
        url = f"https://hooks{number}.example/"
        claim = await clustered.sent(
            recipient_id=recipient, id=keys.new_id(recipient), callback_url=url
        )
        told.add(claim.verification.id)
    due = await store.due(NOW)
    assert {found.subject for found in due} == told
    assert len(set(await store.urls(due))) == len(told)
    assert len(await store.due(NOW, due[:2])) == len(told) - 2
    held = [await store.claim(found, NOW) for found in due]
    for number, one in enumerate(held):
        assert one is not None
        settled = store.bury(one, NOW, "410") if number else store.delivered(one, NOW)
        assert await settled == "last"
    assert (await store.backlog()).subjects == 0
    for letter in await store.dead_letters():
        assert await store.resend(letter, NOW)
    assert (await store.backlog()).subjects == 5
    await store.postpone([(found, NOW + 1) for found in await store.due(NOW)])
    assert await store.due(NOW) == []


async def test_a_long_backlog_does_not_use_up_the_connections(clustered: Stores) -> None:
    store = CallbackStore(clustered.connection, clustered.scripts, lease=LEASE)
    waiting = [keys.CallbackKeys(n % 32, f"ver_{n}") for n in range(800)]
    await clustered.connection.commands([("ZADD", k.out, NOW, k.subject) for k in waiting])
    assert len(await store.due(NOW)) == 800
    assert (await store.backlog()).subjects == 800
