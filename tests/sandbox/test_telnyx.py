"""The sandbox refuses as Telnyx documents it, and its webhooks are tried again."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, post
from nacl.signing import SigningKey

from service.sandbox.app import build
from tests.harness import SEED, TELNYX_KEY, client, eventually, free_port, sandbox_config, serving

TO = "+12025550123"
PROFILE = "00000000-0000-4000-8000-000000000001"
LONG = {"from": "+18445550001", "to": TO, "text": "hi"}
ALPHA = {"from": "Acme", "to": "+447700900001", "text": "hi", "messaging_profile_id": PROFILE}


@pytest.fixture
async def telnyx() -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    async with (
        serving(build(sandbox_config()), port),
        client(f"http://127.0.0.1:{port}", TELNYX_KEY) as found,
    ):
        yield found


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", LONG | {"to": None}, 422, "10004"),
        ("", LONG | {"to": "12025550123"}, 400, "40310"),
        ("", LONG | {"text": ""}, 422, "10004"),
        ("", LONG | {"encoding": "x"}, 400, "10003"),
        ("", LONG | {"encoding": "gsm7", "text": "日"}, 400, "10003"),
        ("", LONG | {"text": "a" * 1531}, 400, "40302"),
        ("", LONG | {"webhook_url": "nowhere"}, 400, "10003"),
        ("/long_code", LONG | {"from": "12345"}, 400, "40305"),
        ("/short_code", LONG, 400, "40305"),
        ("/number_pool", {"to": TO, "text": "hi"}, 422, "10004"),
        ("/number_pool", {"to": TO, "text": "hi", "messaging_profile_id": "x"}, 400, "10003"),
        ("/alphanumeric_sender_id", ALPHA | {"from": "12345"}, 400, "40305"),
        ("/alphanumeric_sender_id", ALPHA | {"to": TO}, 400, "40301"),
        ("/alphanumeric_sender_id", ALPHA | {"messaging_profile_id": None}, 422, "10004"),
    ],
)
async def test_a_bad_send_is_refused(
    telnyx: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await telnyx.post(f"/v2/messages{path}", json=body)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert error["code"] == code
    assert error["source"]["pointer"].startswith("/")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"to": "\\ud800"}', b"\xff", b"[" * 9000])
async def test_bytes_that_are_no_request_are_refused(
    telnyx: httpx.AsyncClient, body: bytes
) -> None:
    answer = await telnyx.post("/v2/messages", content=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["errors"]


async def test_each_kind_of_sender_is_taken(telnyx: httpx.AsyncClient) -> None:
    for path, body in (
        ("", LONG),
        ("/long_code", LONG),
        ("/short_code", LONG | {"from": "12345"}),
        ("/number_pool", {"to": TO, "text": "hi", "messaging_profile_id": PROFILE}),
        ("/alphanumeric_sender_id", ALPHA),
    ):
        data = (await telnyx.post(f"/v2/messages{path}", json=body)).json()["data"]
        assert data["to"][0]["status"] == "queued"
        read = await telnyx.get(f"/v2/messages/{data['id']}")
        assert read.json()["data"]["id"] == data["id"]


async def test_without_the_key_nothing_is_told(telnyx: httpx.AsyncClient) -> None:
    answer = await telnyx.post("/v2/messages", json=LONG, headers={"authorization": "Bearer no"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "10009")
    assert (await telnyx.get("/v2/nothing")).json()["errors"][0]["code"] == "10005"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("scenarios", {"outcome": "0100"}),
        ("scenarios", {"to": TO, "outcome": "9999"}),
        ("scenarios", {"to": "x", "outcome": "0100"}),
        ("inbound", {"from": TO, "text": "hi"}),
        ("outages", {"mode": "sideways"}),
    ],
)
async def test_a_bad_control_call_says_what_is_wrong(
    telnyx: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await telnyx.post(f"/sandbox/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


async def test_messages_are_listed_by_number_and_time(telnyx: httpx.AsyncClient) -> None:
    for to in (TO, "+12025550124"):
        await telnyx.post("/v2/messages", json=LONG | {"to": to})
    (one,) = (await telnyx.get("/sandbox/messages", params={"to": TO})).json()["messages"]
    assert set(one) == {"id", "to", "from", "kind", "text", "status", "arrived", "created_at"}
    everything = (await telnyx.get("/sandbox/messages")).json()["messages"]
    assert len(everything) == 2
    later = {"since": everything[1]["created_at"]}
    found = (await telnyx.get("/sandbox/messages", params=later)).json()["messages"]
    assert everything[1] in found


async def test_the_inbox_is_one_page_with_a_strict_policy(telnyx: httpx.AsyncClient) -> None:
    page = await telnyx.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    assert "{{" not in page.text


@asynccontextmanager
async def _receiver(*statuses: int) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook receiver that answers with the statuses in turn, then 200; checks every signature."""
    seen: list[dict[str, Any]] = []
    left = list(statuses)

    @post("/{rest:path}")
    async def receive(request: Request[Any, Any, Any]) -> Response[None]:
        body = await request.body()
        signed = request.headers["telnyx-timestamp"].encode() + b"|" + body
        signature = base64.b64decode(request.headers["telnyx-signature-ed25519"])
        SigningKey(SEED).verify_key.verify(signed, signature)
        seen.append(json.loads(body))
        return Response(None, status_code=left.pop(0) if left else 200)

    port = free_port()
    async with serving(Litestar([receive], openapi_config=None), port):
        yield f"http://127.0.0.1:{port}", seen


async def test_a_webhook_is_tried_three_times_and_then_at_the_failover(
    telnyx: httpx.AsyncClient,
) -> None:
    async with _receiver(*[500] * 6) as (url, seen):
        urls = {"webhook_url": f"{url}/a", "webhook_failover_url": f"{url}/b"}
        await telnyx.post("/v2/messages", json=LONG | urls)

        async def all_tried() -> bool:
            finals = [e for e in seen if e["data"]["event_type"] == "message.finalized"]
            sent = [e for e in seen if e["data"]["event_type"] == "message.sent"]
            return len(finals) >= 1 and len(sent) >= 1 and len(seen) >= 8

        await eventually(all_tried)
        await asyncio.sleep(0)
        attempts = [e for e in seen if e["data"]["event_type"] == "message.sent"]
        assert [e["meta"]["attempt"] for e in attempts] == list(range(1, len(attempts) + 1))
        assert len({e["data"]["id"] for e in attempts}) == 1
