"""The same store over a real Cluster: three masters started from the bundled binary."""

from collections.abc import AsyncIterator, Iterator

import pytest

from service.clock import ManualClock
from service.domain.chain_check import ChainCheck
from service.domain.keyring import Keyring, parse_keys
from service.domain.stats import HOUR
from service.domain.stats_sums import total
from service.domain.verification import Status
from service.flow.migrating import Migrating
from service.flow.sealing import Sealing
from service.flow.statistics import Statistics
from service.store import keys
from service.store.callbacks import CallbackStore
from service.store.chain import ChainStore
from service.store.connection import Connection
from service.store.recipients import OptOut
from service.store.scripts import Scripts
from service.store.setup import LAYOUT, check_setup
from service.store.stats import Detail, StatsStore
from service.store.trail import START, TrailStore
from service.telemetry import Metrics
from tests.failover.servers import Cluster, clustered
from tests.harness import KEYS
from tests.store.stores import LEASE, NOW, SENDER, Stores


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with clustered(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
async def stores(cluster: Cluster) -> AsyncIterator[Stores]:
    for node in cluster.masters:
        node.ask("FLUSHALL")
    connection = await Connection.open(cluster.url)
    yield Stores(connection)
    await connection.close()


async def test_a_verification_lives_its_life_on_a_cluster(stores: Stores) -> None:
    await check_setup(stores.connection)
    made = []
    for number in range(12):  # enough partitions to lie on every master
        recipient = f"{number * 5:08x}" + "0" * 24
        claim = await stores.sent(recipient_id=recipient, id=keys.new_id(recipient))
        made.append(claim.verification.id)
        assert await stores.report(claim.verification.id) == "due"
    due = dict(await stores.verifications.due(NOW))
    assert set(made) <= due.keys()
    held = await stores.verifications.claim(made[0], NOW)
    assert held is not None
    assert await stores.close(held) == "ok"
    assert (await stores.read(made[0])).status is Status.EXPIRED
    assert await stores.verifications.claim(made[1], NOW + LEASE) is not None


async def test_opt_outs_are_listed_across_the_masters(stores: Stores) -> None:
    for number in range(8):
        recipient = f"{number * 7:08x}" + "1" * 24
        entry = OptOut("+1********00", NOW + number, "api")
        await stores.recipients.opt_out(recipient, entry, actor="key")
    found, cursor = 0, (0, 0)
    while True:
        page = await stores.recipients.list_opt_outs(cursor, 3)
        found += len(page.items)
        if page.next is None:
            break
        cursor = page.next
    assert found == 8
    assert abs(await stores.connection.time() - NOW) > 0


async def test_statistics_and_the_chain_follow_on_a_cluster(stores: Stores) -> None:
    scripts, keyring = Scripts(stores.connection), Keyring(parse_keys(KEYS))
    stats = StatsStore(stores.connection, scripts, {"long": SENDER})
    counting = Statistics(stats, Metrics())
    chain = ChainStore(stores.connection, scripts)
    sealing = Sealing(chain, keyring, ManualClock(NOW), Metrics())
    for number in range(12):  # enough partitions to lie on every master
        recipient = f"{number * 5:08x}" + "3" * 24
        claim = await stores.sent(recipient_id=recipient, id=keys.new_id(recipient))
        for _ in range(2):  # what comes twice counts once
            await stores.report(claim.verification.id)
        if number % 4 == 0:
            await counting()
            assert await sealing() > 0
    await counting()
    assert await sealing() > 0
    for detail, name in ((Detail.LOGINS, "started"), (Detail.CARRIERS, "delivered")):
        (rows,) = (await stats.hours([NOW // HOUR], detail)).values()
        assert total(rows.values())[name] == 12
    last = await sealing.checkpoint()
    assert last is not None
    check = ChainCheck([last])
    trail = TrailStore(stores.connection)
    async for entry in trail.read(START, await trail.now() + 1):
        check.take(entry.to_line())
    check.end()
    assert (check.sealed, check.unsealed, check.unsigned) == (last.sealed, 0, 0)
    assert last.sealed >= 12 * 4
    assert len(last.heads) == 12


async def test_callbacks_flow_on_a_cluster(stores: Stores) -> None:
    store = CallbackStore(stores.connection, stores.scripts, lease=LEASE)
    await store.queue_the_rest(True)
    told = set()
    for number in range(6):
        recipient = f"{number * 11:08x}" + "2" * 24
        url = f"https://hooks{number}.example/"
        claim = await stores.sent(
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


async def test_a_long_backlog_does_not_use_up_the_connections(stores: Stores) -> None:
    store = CallbackStore(stores.connection, stores.scripts, lease=LEASE)
    waiting = [keys.CallbackKeys(n % 32, f"ver_{n}") for n in range(800)]
    await stores.connection.commands([("ZADD", k.out, NOW, k.subject) for k in waiting])
    assert len(await store.due(NOW)) == 800
    assert (await store.backlog()).subjects == 800


async def test_the_trail_is_brought_to_this_layout_on_a_cluster(stores: Stores) -> None:
    """Of layout 1, whose events lie on every master."""
    command, meta = stores.connection.command, keys.META
    await command("HSET", meta, "layout", LAYOUT - 1, "partitions", 64, "lookup", "known")
    trails = {}
    for partition in range(0, 64, 7):
        person = f"{partition:08x}" + "2" * 24
        event = f'{{"type":"attempt.rejected","at":1,"recipient":"{person}"}}'
        audit = f"{keys.prefix(partition)}audit"
        trails[audit] = [await command("XADD", audit, "*", "event", event) for _ in range(3)]
    migrating = Migrating(stores.connection, stores.scripts, ManualClock(NOW), Metrics())
    await migrating.store.close()
    assert await migrating()
    for audit, ids in trails.items():
        found = await command("XRANGE", audit, "-", "+")
        found = [entry for entry in found if "store.migrated" not in str(entry)]
        assert [id_ for id_, _ in found] == ids
        assert not any("2" * 24 in str(fields) for _, fields in found)
