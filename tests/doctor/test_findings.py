"""``countersign doctor``: each fault is seen, and a sound installation has none."""

import json
import secrets
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.cli import doctor
from service.doctor.account import check_account, check_profiles, judge_failure
from service.doctor.finding import Finding, Level
from service.doctor.hashing import Speed, check_codes, check_hashing, measure, search_cost
from service.doctor.store import (
    check_apps,
    check_clock,
    check_layout,
    check_lookup,
    check_replicas,
    check_server,
    check_store,
    check_tls,
)
from service.doctor.webhook import check_webhook
from service.domain.app import App, FixedCode
from service.domain.code import HASH_PROFILES, Alphabet, HashCost
from service.domain.keyring import Keyring
from service.settings import SettingsError
from service.store.connection import Tls
from service.store.setup import LAYOUT
from service.telnyx.failures import ServerError, UnreachableError
from service.telnyx.http import TelnyxConfig
from service.telnyx.resources import MessagingProfile
from tests.harness import UP_TOML, World, free_port

WEBHOOK = "https://otp.example.com/webhooks/telnyx"
SOUND = MessagingProfile(
    id="p1", name="codes", enabled=True, webhook_api_version="2", webhook_url=WEBHOOK
)


def _levels(found: list[Finding]) -> set[Level]:
    return {finding.level for finding in found}


def test_a_search_of_all_codes_is_reckoned_in_core_hours() -> None:
    assert search_cost(0.036, 10**6, 300) == (10.0, 120)
    assert search_cost(0.0001, 10**4, 300) == (10_000 * 0.0001 / 3600, 1)


def test_a_cost_that_one_core_beats_is_warned_of() -> None:
    speeds = {"owasp": Speed(0.03, 60), "minimum": Speed(0.0002, 8_000)}
    found = check_hashing(speeds, profile="owasp", length=6, ttl=300)
    assert _levels(found) == {Level.OK}
    assert "2^256" in found[-2].says
    assert "8.3 hours on one core" in found[-1].says
    assert "100 core(s)" in found[-1].says
    (last,) = check_hashing(speeds, profile="minimum", length=6, ttl=300)[-1:]
    assert last.level is Level.WARN


def test_codes_that_are_easy_to_guess_are_warned_of() -> None:
    assert check_codes(Alphabet.DIGITS, 4).level is Level.WARN
    assert "13.3 bits" in check_codes(Alphabet.DIGITS, 4).says
    assert check_codes(Alphabet.DIGITS, 6).level is Level.OK
    assert check_codes(Alphabet.LETTERS, 5).level is Level.OK


def test_the_speed_is_this_machine_s() -> None:
    cheap, dear = measure(HashCost(8, 1, 1), 1), measure(HASH_PROFILES["light"], 1)
    assert 0 < cheap.seconds < dear.seconds
    assert cheap.rate > dear.rate > 0


@pytest.mark.parametrize(
    ("info", "levels"),
    [
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2", "aof_enabled": 1}, {Level.OK}),
        ({"redis_version": "6.0.20", "aof_enabled": 1}, {Level.OK, Level.FAIL}),
        ({"redis_version": "7.4.0", "aof_enabled": 0}, {Level.OK, Level.WARN}),
        (
            {"redis_version": "7.4.0", "aof_enabled": 1, "maxmemory_policy": "allkeys-lru"},
            {Level.OK, Level.FAIL},
        ),
    ],
)
def test_a_server_that_loses_data_is_seen(info: dict[str, object], levels: set[Level]) -> None:
    assert _levels(check_server(info)) == levels


@pytest.mark.parametrize(
    ("states", "level"),
    [
        ([], Level.FAIL),
        (["wait_bgsave"], Level.FAIL),
        (["online"], Level.WARN),
        (["online", "online"], Level.OK),
    ],
)
def test_replicas_that_durability_needs_are_missed(states: list[str], level: Level) -> None:
    info = {f"slave{i}": {"ip": "h", "state": state} for i, state in enumerate(states)}
    assert check_replicas({"slave_repl_offset": 1, **info}).level is level


@pytest.mark.parametrize(
    ("skew", "level"), [(0, Level.OK), (-900, Level.OK), (1_500, Level.WARN), (-5_000, Level.WARN)]
)
def test_a_clock_that_is_off_is_seen(skew: int, level: Level) -> None:
    finding = check_clock(skew)
    assert finding.level is level
    assert str(skew) in finding.says


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("redis+sentinel://127.0.0.1:1,127.0.0.2:1/mymaster", Level.WARN),
        ("rediss+sentinel://a,b/mymaster", Level.OK),
        ("rediss://redis.internal", Level.OK),
        ("rediss+cluster://redis.internal", Level.OK),
        ("redis://:secret@127.0.0.1:6379/0", Level.OK),
        ("unix:///run/valkey.sock", Level.OK),
        ("redis://:secret@redis.internal:6379/0", Level.WARN),
    ],
)
def test_a_connection_in_clear_is_seen(url: str, level: Level) -> None:
    finding = check_tls(url)
    assert finding.level is level
    assert "secret" not in finding.says


def test_another_layout_is_seen() -> None:
    assert check_layout({}).level is Level.OK
    assert check_layout({"layout": str(LAYOUT), "partitions": "64"}).level is Level.OK
    assert check_layout({"layout": "9", "partitions": "64"}).level is Level.FAIL
    assert check_layout({"layout": str(LAYOUT), "partitions": "128"}).level is Level.FAIL
    before = check_layout({"layout": str(LAYOUT - 1), "partitions": "64"})
    assert before.level is Level.WARN
    assert "countersign migrate run" in before.todo


def test_test_numbers_are_warned_of() -> None:
    assert check_apps([App(id="default")]).level is Level.OK
    tested = App(id="shop", test_numbers={"0" * 32: FixedCode("+1********99", "")})
    found = check_apps([App(id="default"), tested])
    assert found.level is Level.WARN
    assert "shop (1)" in found.says


def test_a_keyring_of_other_data_is_seen() -> None:
    ours, other = (Keyring([secrets.token_bytes(32)]) for _ in range(2))
    sealed = {f"lookup:{i}": copy for i, copy in ours.seal_lookup(bytes(32)).items()}
    left = sealed | {f"lookup:{i}": copy for i, copy in other.seal_lookup(bytes(32)).items()}
    assert check_lookup(sealed, ours).level is Level.OK
    assert check_lookup(sealed, other).level is Level.FAIL
    assert check_lookup(left, ours).level is Level.WARN
    broken = dict.fromkeys(sealed, "AAAA")
    assert check_lookup(broken, ours).level is Level.FAIL


async def test_a_redis_that_is_away_is_seen() -> None:
    found = await check_store(f"redis://127.0.0.1:{free_port()}", Tls(), None)
    assert _levels(found) == {Level.FAIL}
    assert _levels(await check_store("http://h", Tls(), None)) == {Level.FAIL}


@pytest.mark.parametrize(
    ("profile", "wanted", "level"),
    [
        (SOUND, {"p1"}, Level.OK),
        (SOUND, set(), Level.OK),
        (SOUND, {"p2"}, Level.FAIL),
        (SOUND.model_copy(update={"webhook_api_version": "1"}), {"p1"}, Level.FAIL),
        (SOUND.model_copy(update={"webhook_api_version": "1"}), set(), Level.WARN),
        (SOUND.model_copy(update={"enabled": False}), {"p1"}, Level.FAIL),
        (SOUND.model_copy(update={"webhook_url": None}), {"p1"}, Level.WARN),
    ],
)
def test_a_profile_that_cannot_report_is_seen(
    profile: MessagingProfile, wanted: set[str], level: Level
) -> None:
    found = check_profiles([profile], wanted, WEBHOOK)
    assert level in _levels(found)
    assert level is Level.FAIL or Level.FAIL not in _levels(found)


def test_a_telnyx_that_is_away_is_seen() -> None:
    assert judge_failure(UnreachableError(None)).level is Level.FAIL
    assert judge_failure(ServerError(503)).level is Level.WARN


async def test_a_key_that_telnyx_refuses_is_seen(app: World) -> None:
    wrong = TelnyxConfig(base_url=app.settings.telnyx_base_url, api_key="KEYwrong")
    (finding,) = await check_account(wrong, [], app.settings.public_url)
    assert (finding.level, "TELNYX_API_KEY" in finding.says) == (Level.FAIL, True)


async def test_the_webhook_address_must_lead_here(app: World) -> None:
    (here,) = await check_webhook(app.settings.public_url)
    assert here.level is Level.OK
    (sandbox,) = await check_webhook(str(app.phone.base_url).rstrip("/"))
    assert (sandbox.level, "not this service's 401" in sandbox.says) == (Level.FAIL, True)
    (nobody,) = await check_webhook(f"http://127.0.0.1:{free_port()}")
    assert nobody.level is Level.FAIL
    public = await check_webhook("http://otp.invalid")
    assert [finding.level for finding in public] == [Level.WARN, Level.FAIL]


def test_every_fault_of_the_configuration_is_a_finding() -> None:
    error = SettingsError("the configuration has 2 fault(s):\n  public_url: not set\n  x: unknown")
    assert [f.says for f in doctor.check_faults(error)] == ["public_url: not set", "x: unknown"]
    assert [f.says for f in doctor.check_faults(SettingsError("both set"))] == ["both set"]


async def test_the_whole_examination(
    app: World, redis: Redis, valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "load_settings", lambda _: app.settings)
    monkeypatch.setattr(doctor, "measure_profiles", lambda _: dict.fromkeys(HASH_PROFILES, SPEED))
    found = await doctor.examine(None)
    assert {"configuration", "redis tls", "clock", "keyring", "webhook URL"} <= {
        finding.subject for finding in found
    }
    assert [finding for finding in found if finding.level is Level.FAIL] == []


SPEED = Speed(0.03, 60)


def test_it_ends_with_1_if_anything_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("REDIS_URL", "COUNTERSIGN_KEYS", "COUNTERSIGN_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "countersign.toml"
    config.write_text(UP_TOML.read_text())
    assert doctor.run_doctor(config, as_json=True) == 1
    shown = json.loads(capsys.readouterr().out)
    assert {finding["level"] for finding in shown} == {"fail"}
    assert any("COUNTERSIGN_KEYS" in finding["says"] for finding in shown)
    assert doctor.run_doctor(config, as_json=False) == 1
    assert "what to do" in capsys.readouterr().out
