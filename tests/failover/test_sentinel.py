"""A primary that dies under logins, and Sentinels that put a replica in its place."""

from pathlib import Path

import pytest

from service.store.connection import Connection, StoreSetupError
from service.store.sentinel import read_sentinel_url
from tests.failover.logins import LIMITS, SENDERS, go_on
from tests.failover.servers import PASSWORD, PRIMARY, watched
from tests.harness import world


@pytest.mark.cluster
@pytest.mark.parametrize(("durability", "replicas"), [("primary", 1), ("replica", 2)])
async def test_logins_go_on_after_the_primary_was_killed(
    tmp_path: Path, durability: str, replicas: int
) -> None:
    with watched(tmp_path, replicas=replicas) as servers:
        redis = {"durability": durability}
        async with world(servers.url, redis=redis, limits=LIMITS, senders=SENDERS) as app:
            figures = await go_on(app, servers.primary.kill, servers.promoted)
            print(f"Sentinel, durability = {durability}: {figures}")  # noqa: T201


@pytest.mark.cluster
async def test_a_name_that_no_sentinel_knows_is_named(tmp_path: Path) -> None:
    with watched(tmp_path, replicas=0, sentinels=1) as servers:
        connection = await Connection.open(servers.url)
        assert await connection.time() > 0
        assert len(await connection.infos()) == 1
        await connection.close()
        with pytest.raises(StoreSetupError, match="watch no primary of that name"):
            await Connection.open(servers.url.replace(PRIMARY, "other"))


def test_a_url_names_sentinels_and_primary() -> None:
    url = "redis+sentinel://u:p%40@a,[::1]:5/mymaster/2?sentinel_password=s"
    found = read_sentinel_url(url)
    assert found.sentinels == (("a", 26379), ("::1", 5))
    assert (found.primary, found.server) == (PRIMARY, {"username": "u", "password": "p@", "db": 2})
    assert found.sentinel == {"password": "s"}
    assert "p@" not in repr(found)


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ("a:1,b:1", "name of the primary"),
        ("a:1/", "name of the primary"),
        ("a:x/mymaster", "list of host:port"),
        ("a:1,,b:1/mymaster", "list of host:port"),
        ("a:1/mymaster/x", "number of a database"),
        ("a:1/mymaster?password=secret", "an option password"),
        ("a:1/mymaster?ssl_cert_reqs=none", "TLS options"),
    ],
)
async def test_a_bad_url_says_what_is_wrong(rest: str, why: str) -> None:
    with pytest.raises(StoreSetupError, match=why) as raised:
        await Connection.open(f"redis+sentinel://:{PASSWORD}@{rest}")
    assert PASSWORD not in str(raised.value)
    assert "secret" not in str(raised.value)
