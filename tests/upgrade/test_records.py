"""Records that an older or a newer release reads or wrote."""

import json
from typing import Any

from service.store.keys import VerificationKeys
from service.store.records import load
from tests.harness import World
from tests.upgrade.conftest import upgraded
from tests.upgrade.fixture import read

PHONE = "+12025550123"


def _members(fields: dict[str, str], name: str) -> set[str]:
    return set(json.loads(fields[name]))


async def test_the_old_release_finds_no_member_that_it_does_not_know(
    valkey: str, redis: Any
) -> None:
    """It would stumble over one in ``base``, in an outcome and in a report."""
    _, lines = read()
    known: dict[str, set[str]] = {}
    for line in lines:
        if ":v:" in line["key"]:
            for name, value in line["value"].items():
                if value.startswith("{"):
                    known.setdefault(name[0], set()).update(json.loads(value))
    known["b"] |= {"transaction", "notice", "locale", "host", "app_hash"}
    said = {
        "client_ip": "192.0.2.7",
        "limit_keys": {"device": "one"},
        "nonce": "0123456789abcdef",
        "transaction": {"payee": "Shop", "amount": "12.00", "currency": "EUR"},
    }
    async with upgraded(redis, valkey) as now:
        started = await now.app.start(PHONE, **said)
        await now.app.until(started["id"], _is_delivered)
        fields = await redis.hgetall(VerificationKeys(started["id"]).record)
        codes = await redis.hgetall(VerificationKeys(started["id"]).codes)
    written = [name for name in fields if name in ("base", "o1") or name.startswith("r1:")]
    assert len(written) >= 4
    for name in written:
        assert _members(fields, name) <= known[name[0]] | {"fault", "errors"}, name
    assert {"clients", "tracked"} <= _members(fields, "more")
    assert [len(bytes.fromhex(codes[name])) for name in ("salt", "d1")] == [16, 32]


async def test_what_a_newer_release_adds_is_left_out(app: World, redis: Any) -> None:
    started = await app.start(PHONE)
    await app.until(started["id"], _is_delivered)
    k = VerificationKeys(started["id"])
    fields = await redis.hgetall(k.record)
    senders: dict[str, Any] = {"short": None, "long": None, "pool": None}
    before = load(started["id"], fields, senders)
    newer = {name: _grown(value) for name, value in fields.items() if value[0] in "[{"}
    assert len(newer) >= 4
    after = load(started["id"], {**fields, **newer, "z1:x": "?"}, senders)
    assert after == before


def _grown(text: str) -> str:
    found = json.loads(text)
    if isinstance(found, dict):
        return json.dumps(found | {"from_the_future": {"a": [1]}})
    # What is at the end of an array may be left out, unless more comes behind it.
    return json.dumps([*found, *[None] * (16 - len(found)), {"a": [1]}])


def _is_delivered(v: dict[str, Any]) -> bool:
    return bool(v["deliveries"][0]["status"] == "delivered")
