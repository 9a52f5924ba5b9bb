"""Webhooks that are not what they claim: none has an effect, and each is counted."""

import base64
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from nacl.signing import SigningKey

from tests.harness import SEED, World

TELNYX, STRANGER = SigningKey(SEED), SigningKey(b"s" * 32)
_NUMBERS = iter(range(120, 200))


@dataclass(slots=True)
class Forgery:
    """A webhook as an attacker sends it; unset, it is a good one of Telnyx."""

    body: bytes
    key: SigningKey = TELNYX
    age: int = 0
    signed: bytes | None = None
    changes: dict[str, str | None] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        timestamp = str(int(time.time()) - self.age)
        signed = self.body if self.signed is None else self.signed
        signature = self.key.sign(timestamp.encode() + b"|" + signed).signature
        headers: dict[str, str | None] = {
            "telnyx-timestamp": timestamp,
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
            **self.changes,
        }
        return {name: value for name, value in headers.items() if value is not None}


def _report(status: str = "delivery_failed", event: str = "e") -> bytes:
    payload = {"id": "m", "to": [{"status": status}]}
    data = {"id": event, "event_type": "message.finalized", "payload": payload}
    return json.dumps({"data": data}).encode()


def _forgeries() -> dict[str, tuple[Forgery, str]]:
    body = _report()
    return {
        "no signature": (
            Forgery(body, changes={"telnyx-signature-ed25519": None}),
            "missing-signature",
        ),
        "no timestamp": (Forgery(body, changes={"telnyx-timestamp": None}), "missing-signature"),
        "another account's key": (Forgery(body, key=STRANGER), "bad-signature"),
        "stale": (Forgery(body, age=301), "stale"),
        "from the future": (Forgery(body, age=-302), "stale"),
        "an altered body": (Forgery(body, signed=_report("delivered")), "bad-signature"),
        "a truncated body": (Forgery(body[:-1], signed=body), "bad-signature"),
        "an old signature under a new time": (
            Forgery(body, changes={"telnyx-timestamp": str(int(time.time()) - 1)}),
            "bad-signature",
        ),
        "a signature cut short": (
            Forgery(body, changes={"telnyx-signature-ed25519": "AAAA"}),
            "malformed-signature",
        ),
        "a time that is none": (
            Forgery(body, changes={"telnyx-timestamp": "1e9"}),
            "malformed-timestamp",
        ),
    }


async def _counted(app: World, metric: str) -> float:
    text = (await app.api.get("/metrics")).text
    found = re.search(rf"^{re.escape(metric)} ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def _delivered(app: World) -> dict[str, Any]:
    """A verification whose message has arrived and whose reports are all in."""
    started = await app.start(f"+1202555{next(_NUMBERS):04d}")
    return await app.until(started["id"], lambda v: v["deliveries"][0]["status"] == "delivered")


@pytest.mark.parametrize("name", _forgeries())
async def test_a_forgery_is_refused_counted_and_without_effect(app: World, name: str) -> None:
    forgery, reason = _forgeries()[name]
    v = await _delivered(app)
    metric = f'countersign_webhooks_refused_total{{reason="{reason}"}}'
    before = await _counted(app, metric)
    path = await _own_path(app, v)
    answer = await app.api.post(path, content=forgery.body, headers=forgery.headers())
    assert answer.status_code == 401
    assert await _counted(app, metric) == before + 1
    assert await app.get(v["id"]) == v


@pytest.mark.parametrize("event", ["message.finalized", "message.received"])
async def test_a_stranger_cannot_opt_anybody_out(app: World, event: str) -> None:
    number = f"+1202555{next(_NUMBERS):04d}"
    payload = {"from": {"phone_number": number}, "text": "STOP"}
    body = json.dumps({"data": {"id": "e", "event_type": event, "payload": payload}}).encode()
    for forgery in (Forgery(body, key=STRANGER), Forgery(body, age=301)):
        answer = await app.api.post("/webhooks/telnyx", content=body, headers=forgery.headers())
        assert answer.status_code == 401
    assert (await app.api.get(f"/v1/opt-outs/{number}")).status_code == 404


async def test_a_replay_is_acknowledged_counted_and_without_effect(app: World) -> None:
    v = await _delivered(app)
    path = await _own_path(app, v)
    first = Forgery(_report("delivered", "once"))
    assert (
        await app.api.post(path, content=first.body, headers=first.headers())
    ).status_code == 200
    settled = await app.get(v["id"])
    metric = 'countersign_webhooks_without_effect_total{reason="repeated"}'
    before = await _counted(app, metric)
    for _ in range(3):
        answer = await app.api.post(path, content=first.body, headers=first.headers())
        assert answer.status_code == 200
    assert await _counted(app, metric) == before + 3
    assert await app.get(v["id"]) == settled


async def test_a_true_report_under_another_messages_address_is_nobodys(app: World) -> None:
    """Telnyx signs for the account: a ref is what binds a report to its message."""
    v, other = await _delivered(app), await _delivered(app)
    good, body = await _own_path(app, v), _report()
    metric = 'countersign_webhooks_without_effect_total{reason="unknown"}'
    before = await _counted(app, metric)
    tag = good.rsplit(".", 1)[1]
    paths = (
        f"/webhooks/telnyx/{other['id']}.1.{tag}",
        f"/webhooks/telnyx/{v['id']}.2.{tag}",
        f"/webhooks/telnyx/{v['id']}.1.{'0' * 32}",
        "/webhooks/telnyx/x",
    )
    for path in paths:
        answer = await app.api.post(path, content=body, headers=Forgery(body).headers())
        assert answer.status_code == 200
    assert await _counted(app, metric) == before + len(paths)
    assert (await app.get(v["id"]), await app.get(other["id"])) == (v, other)


async def _own_path(app: World, v: dict[str, Any]) -> str:
    """The address that Telnyx was given for the first message: what an eavesdropper would know."""
    message_id = v["deliveries"][0]["message_id"]
    headers = {"authorization": f"Bearer {app.settings.telnyx_api_key.get_secret_value()}"}
    message = await app.phone.get(f"/v2/messages/{message_id}", headers=headers)
    url = str(message.json()["data"]["webhook_url"])
    return url[url.index("/webhooks/") :]
