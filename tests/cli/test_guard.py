"""``countersign guard``: blocks are listed and released; a changed policy is tried on what was recorded."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.cli.in_order import read_in_order
from service.clock import SystemClock
from service.domain.breaker import BreakerPolicy
from service.domain.pumping import Block, Dimension
from service.domain.replay import is_of_interest
from service.store.breakers import BreakerStore
from service.store.connection import Connection
from service.store.pumping import PumpingStore
from service.store.scripts import Scripts
from tests.traffic import PUMPING, T0, Honest, Message

KEY = "0123456789abcdef0123456789abcdef"
STRICT = "[guard.pumping.floors]\nrun = [3, 5]\nprefix = [5, 9]\ncountry = [20, 30]\n"


def _call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["guard", *words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def store_url(valkey: str, monkeypatch: pytest.MonkeyPatch) -> str:
    with Redis.from_url(valkey) as client:
        client.flushall()
    monkeypatch.setenv("REDIS_URL", valkey)
    return valkey


async def _trip(url: str) -> None:
    connection = await Connection.open(url)
    now = SystemClock().now()
    block = Block(until=now + 900_000, strikes=2, window=3600, sent=23, proven=1, threshold=21)
    await PumpingStore(connection, Scripts(connection)).trip(
        Dimension.PREFIX,
        KEY,
        block,
        epoch="0",
        now=now,
        about={"app": "shop", "country": "SE", "masked": "+46*******89"},
        event={"type": "guard.tripped"},
    )
    await connection.close()


def test_blocks_are_shown_with_their_evidence_and_released(store_url: str) -> None:
    asyncio.run(_trip(store_url))
    (line,) = _call("blocks", "--json").stdout.splitlines()
    shown = json.loads(line)
    figures = {"key": f"prefix:{KEY}", "strikes": 2, "sent": 23, "proven": 1, "threshold": 21}
    assert shown | figures | {"country": "SE"} == shown
    assert "SE" in _call("blocks").stdout
    assert "is released" in _call("release", f"prefix:{KEY}").stdout
    assert "there is no block" in _call("release", f"prefix:{KEY}", code=1).stderr
    assert "as shown by" in _call("release", "prefix:+46", code=1).stderr
    assert _call("blocks", "--json").stdout == ""


async def _close_route(url: str) -> None:
    connection = await Connection.open(url)
    about = {"app": "shop", "country": "SE", "masked": "+46*******89", "code": "40020"}
    await BreakerStore(connection, Scripts(connection)).trip(
        f"range:{KEY}",
        BreakerPolicy(),
        about=about,
        now=SystemClock().now(),
        event={"type": "guard.tripped"},
    )
    await connection.close()


def test_breakers_are_shown_and_released(store_url: str) -> None:
    asyncio.run(_close_route(store_url))
    (line,) = _call("blocks", "--json").stdout.splitlines()
    shown = json.loads(line)
    about = {"code": "40020", "strikes": 1, "app": "shop", "country": "SE"}
    assert shown | about | {"key": f"breaker:range:{KEY}"} == shown
    assert "40020" in _call("blocks").stdout
    assert "is released" in _call("release", f"breaker:range:{KEY}").stdout
    assert "no such breaker" in _call("release", f"breaker:range:{KEY}", code=1).stderr
    assert _call("blocks", "--json").stdout == ""


def _event(message: Message, number: int, kind: str, at: int, **more: object) -> dict[str, Any]:
    keys = {dimension.value: value for dimension, value in message.keys.items()}
    country = f"C{keys['country']}"
    event = {"type": kind, "at": at, "verification": f"v{number}", "app": keys["app"]}
    return {**event, "country": country, "keys": keys, **more}


def _recorded(count: int = 400) -> Iterator[dict[str, Any]]:
    """Honest logins, and pumping of a prefix that nothing stopped; not in order of time."""
    honest = Honest(seed=3, a_day=2_000).stream(T0, T0 + 6 * 3_600_000)
    pumping = PUMPING["random numbers of one prefix"](3, T0 + 3_600_000, count)
    for number, message in enumerate([*honest, *pumping]):
        yield _event(message, number, "verification.created", message.at)
        if message.proven_at is not None:
            yield _event(message, number, "verification.approved", message.proven_at, messages=1)
        yield {"type": "delivery.begun", "at": message.at, "verification": f"v{number}"}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "audit.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in _recorded()))
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "changed.toml"
    path.write_text(f'[guard.pumping]\nmode = "block"\n{STRICT}')
    return path


def _replay(export: Path, policy: Path, *words: str, code: int = 0) -> Result:
    return _call("replay", "--from", str(export), "--policy", str(policy), *words, code=code)


def test_replay_shows_what_the_policy_changes_and_is_the_same_twice(
    export: Path, policy: Path
) -> None:
    first, second = (_replay(export, policy, "--json").stdout_bytes for _ in range(2))
    assert first == second
    found = json.loads(first)
    total, pumped = found["total"], found["countries"]["C41"]
    assert total["before"] == 0
    assert pumped["after"] > 380
    assert total["after"] - pumped["after"] < total["asked"] * 0.01
    assert found["dimensions"]["prefix"] == {"before": 0, "after": pumped["after"]}
    table = _replay(export, policy).stdout
    assert table == _replay(export, policy).stdout
    assert f"+{pumped['after']}" in table


def test_replay_of_blocks_with_the_guard_off_frees_them(export: Path, tmp_path: Path) -> None:
    (message,) = PUMPING["random numbers of one prefix"](1, T0, 1)
    figures = {"rule": "pumping", "dimension": "prefix"}
    would = {"guard": [{**figures, "action": "record_only"}]}
    events = [
        _event(message, 1, "guard.blocked", T0, **figures),
        _event(message, 2, "verification.created", T0 + 1, **would),
        _event(message, 2, "verification.approved", T0 + 2, messages=1),
        {**_event(message, 3, "guard.blocked", T0 + 3), "rule": "limit"},
    ]
    recorded, policy = tmp_path / "recorded.ndjson", tmp_path / "off.toml"
    recorded.write_text("\n".join(map(json.dumps, events)))
    policy.write_text('[guard.pumping]\nmode = "off"\n')
    found = json.loads(_replay(recorded, policy, "--json").stdout)
    expected = {"asked": 2, "before": 2, "after": 0, "proven_before": 1, "proven_after": 0}
    assert found["total"] == expected


@pytest.mark.parametrize(
    ("export_text", "policy_text", "says"),
    [
        ("{", "[guard.pumping]", "line 1 is not JSON"),
        ('{"at": 1}\n[]', "[guard.pumping]", "line 2 is no audit event"),
        (
            '{"at": 1, "type": "verification.created", "keys": {}}',
            "[guard.pumping]",
            "lacks a member",
        ),
        ("", "[guard]", "has no [guard.pumping]"),
        ("", "[guard.pumping]\nshare = -1", "share"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, export_text: str, policy_text: str, says: str
) -> None:
    recorded, policy = tmp_path / "recorded.ndjson", tmp_path / "policy.toml"
    recorded.write_text(export_text)
    policy.write_text(policy_text)
    assert says in _replay(recorded, policy, code=1).stderr.replace("\n", " ")


def test_an_export_in_any_order_is_read_in_order_and_in_parts(export: Path) -> None:
    lines = export.read_text().splitlines()
    expected = sorted(filter(is_of_interest, map(json.loads, lines)), key=lambda e: int(e["at"]))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_in_order(lines, is_of_interest, part=50))
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == len(expected)
    assert held < 1_500_000
    assert list(read_in_order(lines, is_of_interest, part=50)) == expected
