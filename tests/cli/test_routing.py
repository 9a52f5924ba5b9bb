"""``countersign routing``: each country's order as it is now, with the figures that it follows from."""

import asyncio
import json
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.clock import SystemClock
from service.domain.audit import of_quarantine
from service.domain.quarantine import Change, Quarantined
from service.domain.stats import HOUR, Where
from service.store.connection import Connection
from service.store.keys import stats_sum
from service.store.quarantines import QuarantineStore
from service.store.scripts import Scripts
from tests.harness import UP_TOML


def _call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["routing", *words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def store(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Redis:
    """With what a day of logins left."""
    monkeypatch.setenv("REDIS_URL", valkey)
    client = Redis.from_url(valkey)
    client.flushall()
    counts = {"long": (500, 450), "pool": (400, 240), "short": (900, 540)}
    rows = {
        f"shop\x1fUS\x1f{name}\x1f": {
            "first": n,
            "first_proven": k,
            "sent": n,
            "cost.USD": 4_000 * n,
        }
        for name, (n, k) in counts.items()
    }
    hour = SystemClock().now() // HOUR
    client.hset(stats_sum(hour), mapping={"version": 1, "rows": json.dumps(rows)})
    asyncio.run(_quarantine(valkey))
    return client


async def _quarantine(url: str) -> None:
    connection, now = await Connection.open(url), SystemClock().now()
    held = Quarantined(now, now + 600_000, strikes=1, failed=9, known=12, usual=0.05)
    change = Change(Where("US", "pool"), 0, held)
    store = QuarantineStore(connection, Scripts(connection))
    assert await store.change(change, of_quarantine(change, now))
    await connection.close()


def _config(path: Path, more: str) -> Path:
    path.write_text(more + UP_TOML.read_text())
    return path


def test_the_order_of_each_country_is_shown_with_its_figures(store: Redis, tmp_path: Path) -> None:
    config = str(_config(tmp_path / "c.toml", "adaptive = true\n"))
    shown = [json.loads(line) for line in _call("--config", config, "--json").stdout.splitlines()]
    assert [one["country"] for one in shown] == ["CA", "US"]
    canada, america = (one["order"] for one in shown)
    assert [place["why"] for place in canada] == ["configured"] * 3
    assert [(place["sender"], place["why"]) for place in america] == [
        *(("long", "conversion"), ("short", "conversion"), ("pool", "quarantined"))
    ]
    assert america[0] | {"sent": 500, "typed": 450, "proven": 0.9, "cost": 0.004} == america[0]
    assert america[2] | {"failed": 9, "of": 12, "failing": 0.75} == america[2]
    table = _call("--config", config, "--country", "US").stdout
    assert "90%" in table
    assert "CA" not in table


def test_without_adaptive_it_is_the_configured_order(store: Redis, tmp_path: Path) -> None:
    config = str(_config(tmp_path / "c.toml", ""))
    (line,) = _call("--config", config, "--country", "US", "--json").stdout.splitlines()
    places = json.loads(line)["order"]
    assert [(place["sender"], place["why"]) for place in places] == [
        *(("short", "configured"), ("long", "configured"), ("pool", "configured"))
    ]


def test_faults_of_the_configuration_are_named(store: Redis, tmp_path: Path) -> None:
    config = _config(tmp_path / "c.toml", "adaptive = 7\n")
    assert "adaptive" in _call("--config", str(config), code=1).stderr
