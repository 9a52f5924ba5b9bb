"""Telnyx's webhooks: only what Telnyx signed lately has an effect."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from service.domain.verification import DeliveryStatus, Fault, Report
from service.telnyx.webhook import (
    Ignored,
    InboundText,
    WebhookRefusedError,
    read_public_keys,
    read_webhook,
)
from tests.harness import SEED, World

KEY = SigningKey(b"k" * 32)
OTHER = SigningKey(b"o" * 32)
NOW = 1_800_000_000_000


def _event(kind: str = "message.finalized", status: str = "delivered", **payload: Any) -> bytes:
    message = {"id": "m", "to": [{"status": status}], "text": "123456 is your code"} | payload
    data = {
        "id": "e",
        "event_type": kind,
        "occurred_at": "2027-01-15T08:00:00.000+00:00",
        "payload": message,
    }
    return json.dumps({"data": data, "meta": {"attempt": 1}}).encode()


def _inbound(number: str, text: str) -> bytes:
    payload: dict[str, Any] = {"from": {"phone_number": number}, "text": text}
    return _event("message.received", **payload)


def _headers(body: bytes, key: SigningKey = KEY, at: int = NOW // 1000) -> dict[str, str]:
    signature = key.sign(f"{at}|".encode() + body).signature
    return {
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        "telnyx-timestamp": str(at),
    }


def test_a_signed_report_is_read() -> None:
    body = _event(cost={"amount": "0.0040", "currency": "USD"})
    report = read_webhook(body, _headers(body), [OTHER.verify_key, KEY.verify_key], NOW)
    assert isinstance(report, Report)
    assert (report.status, report.message_id, report.cost) == (
        DeliveryStatus.DELIVERED,
        "m",
        "0.0040",
    )
    assert "123456" not in repr(report)


@pytest.mark.parametrize("age", [-301, 301])
def test_a_stale_webhook_is_refused_in_both_directions(age: int) -> None:
    body = _event()
    with pytest.raises(WebhookRefusedError, match="stale"):
        read_webhook(body, _headers(body, at=NOW // 1000 - age), [KEY.verify_key], NOW)
    fresh = _headers(body, at=NOW // 1000 - age // 301 * 300)
    assert isinstance(read_webhook(body, fresh, [KEY.verify_key], NOW), Report)


def test_what_another_key_signed_is_refused() -> None:
    body = _event()
    with pytest.raises(WebhookRefusedError, match="bad-signature"):
        read_webhook(body, _headers(body, OTHER), [KEY.verify_key], NOW)


@given(st.integers(min_value=0), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    body = _event()
    headers = _headers(body)
    altered = bytearray(body)
    altered[place % len(body)] ^= change
    with pytest.raises(WebhookRefusedError):
        read_webhook(bytes(altered), headers, [KEY.verify_key], NOW)


@given(st.binary(), st.dictionaries(st.sampled_from(list(_headers(b""))), st.text()))
def test_any_bytes_and_headers_have_an_answer(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookRefusedError):
        read_webhook(body, headers, [KEY.verify_key], NOW)


@given(
    st.binary()
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_signed_bytes_are_read_or_ignored(body: bytes) -> None:
    event = read_webhook(body, _headers(body), [KEY.verify_key], NOW)
    assert isinstance(event, Ignored)


@pytest.mark.parametrize(
    ("kind", "status"), [("message.delivered", "delivered"), ("message.finalized", "new-status")]
)
def test_what_is_unknown_is_ignored(kind: str, status: str) -> None:
    body = _event(kind, status)
    assert isinstance(read_webhook(body, _headers(body), [KEY.verify_key], NOW), Ignored)


def test_40300_in_a_report_is_an_opt_out_only_where_its_words_say_so() -> None:
    for title, fault in (
        ("Blocked due to STOP message", Fault.OPTED_OUT),
        ("Unreachable", Fault.OTHER),
    ):
        body = _event(status="delivery_failed", errors=[{"code": "40300", "title": title}])
        report = read_webhook(body, _headers(body), [KEY.verify_key], NOW)
        assert isinstance(report, Report)
        assert report.fault is fault


def test_an_inbound_text_shows_neither_number_nor_text() -> None:
    body = _inbound("+12025550123", "STOP")
    event = read_webhook(body, _headers(body), [KEY.verify_key], NOW)
    assert isinstance(event, InboundText)
    assert event.text == "STOP"
    assert "2025550123" not in repr(event)


def test_a_public_key_that_is_none_is_named() -> None:
    good = base64.b64encode(bytes(KEY.verify_key)).decode()
    with pytest.raises(ValueError, match="public key 2"):
        read_public_keys(f"{good}, nonsense")


async def test_forged_and_misdirected_reports_have_no_effect(app: World) -> None:
    """Unsigned: 401. Signed by Telnyx, but under a ref that is not of ours: 200, and nothing."""
    started = await app.start("+12025550123")
    v = await app.until(started["id"], lambda v: v["deliveries"][0]["status"] == "delivered")
    body = _event(status="delivery_failed")
    path = f"/webhooks/telnyx/{started['id']}.1.{'0' * 32}"
    assert (await app.api.post(path, content=body)).status_code == 401
    forged = _headers(body, OTHER, int(time.time()))
    assert (await app.api.post(path, content=body, headers=forged)).status_code == 401
    ours = _headers(body, SigningKey(SEED), int(time.time()))
    assert (await app.api.post(path, content=body, headers=ours)).status_code == 200
    assert await app.get(started["id"]) == v


async def test_a_profile_webhook_without_a_ref_is_acknowledged(app: World) -> None:
    body = _event()
    headers = _headers(body, SigningKey(SEED), int(time.time()))
    answer = await app.api.post("/webhooks/telnyx", content=body, headers=headers)
    assert answer.status_code == 200
