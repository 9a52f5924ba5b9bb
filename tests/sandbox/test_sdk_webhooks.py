"""Telnyx's official SDK takes the sandbox's webhooks, and none that was touched."""

import time

import pytest
from nacl.signing import SigningKey
from telnyx import Telnyx
from telnyx.lib import WebhookVerificationError  # importing it is what makes unwrap check Ed25519

from service.sandbox.config import SandboxConfig
from tests.harness import eventually
from tests.sandbox.conftest import API_KEY, Sandbox

pytestmark = pytest.mark.anyio

TO = "+12025550001"
LINK = "https://example.com/login"


def _sdk(sandbox: Sandbox) -> Telnyx:
    config: SandboxConfig = sandbox.app.state.network.config
    return Telnyx(api_key=API_KEY, public_key=config.public_key)


async def _all_kinds(sandbox: Sandbox) -> list[tuple[str, dict[str, str]]]:
    """One webhook of each kind, as it came: body and headers."""
    sandbox.hooks.raw.clear()
    sent = await sandbox.send(TO, text=f"Your way in: {LINK}")
    await sandbox.hooks.of(sent, 2)
    await sandbox.hooks.of(await sandbox.write(TO, "STOP"), 1)
    click = {"message": sent, "url": LINK}
    assert (await sandbox.phone.post("/sandbox/clicks", json=click)).status_code == 202

    async def came() -> bool:
        return len(sandbox.hooks.raw) == 4

    await eventually(came, 5)
    return list(sandbox.hooks.raw)


async def test_the_sdk_takes_every_webhook(sandbox: Sandbox) -> None:
    sdk = _sdk(sandbox)
    kinds = []
    for body, headers in await _all_kinds(sandbox):
        event = sdk.webhooks.unwrap(body, headers=headers)
        data = getattr(event, "data", None)
        kinds.append(getattr(data, "event_type", None) or getattr(data, "record_type", None))
    assert sorted(map(str, kinds)) == [
        "link_clicked",
        "message.finalized",
        "message.received",
        "message.sent",
    ]


async def test_the_sdk_refuses_a_changed_byte(sandbox: Sandbox) -> None:
    sdk = _sdk(sandbox)
    for body, headers in await _all_kinds(sandbox):
        changed = body.replace("+12025550001", "+12025550002").replace("example.com", "evil.com")
        assert changed != body
        with pytest.raises(WebhookVerificationError):
            sdk.webhooks.unwrap(changed, headers=headers)
        late = {**headers, "telnyx-timestamp": str(int(headers["telnyx-timestamp"]) - 1)}
        with pytest.raises(WebhookVerificationError):
            sdk.webhooks.unwrap(body, headers=late)


async def test_the_sdk_refuses_an_old_webhook_and_another_key(sandbox: Sandbox) -> None:
    sdk = _sdk(sandbox)
    (body, headers), *_ = await _all_kinds(sandbox)
    other = bytes(SigningKey.generate().verify_key)
    with pytest.raises(WebhookVerificationError):
        Telnyx(api_key=API_KEY).webhooks.unwrap(body, headers=headers, key=other.hex())
    old = {**headers, "telnyx-timestamp": str(int(time.time()) - 301)}
    with pytest.raises(WebhookVerificationError):
        sdk.webhooks.unwrap(body, headers=old)


async def test_a_click_is_on_a_link_of_the_message(shared: Sandbox) -> None:
    sent = await shared.send("+12025550066", text=f"Your way in: {LINK}")
    for click in ({"message": sent, "url": "https://else.example"}, {"message": "x", "url": LINK}):
        assert (await shared.phone.post("/sandbox/clicks", json=click)).status_code == 422
