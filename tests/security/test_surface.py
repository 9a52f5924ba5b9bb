"""The outside of the service: what each answer carries, and what a port shows."""

import asyncio
import json
from contextlib import suppress

import pytest

from tests.harness import World

START = "/v1/verifications"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/docs", 200),
        ("GET", "/nothing", 404),
        ("POST", "/livez", 405),
        ("POST", START, 422),
        ("GET", f"{START}/x", 404),
    ],
)
async def test_every_answer_has_its_security_headers(
    app: World, method: str, path: str, status: int
) -> None:
    answer = await app.api.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


async def test_a_body_that_is_too_large_is_told_so_even_while_it_is_sent(app: World) -> None:
    for _ in range(5):
        answer = await app.api.post(START, content=b" " * 3_000_000)
        assert answer.status_code == 413


async def test_deep_json_is_refused(app: World) -> None:
    for deep in ("[" * 8_000, '{"a":' * 3_000, '{"to": ' + "[" * 4_000 + "]" * 4_000 + "}"):
        answer = await app.api.post(START, content=deep)
        assert answer.status_code == 422
        assert json.loads(answer.text)["type"].endswith("invalid-request")


async def test_a_slow_header_does_not_hold_other_requests(app: World) -> None:
    host, port = str(app.api.base_url.host), int(app.api.base_url.port or 0)
    slow = [await asyncio.open_connection(host, port) for _ in range(50)]
    for _, writer in slow:
        writer.write(b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\n")
    assert (await app.api.get("/livez")).status_code == 200
    for _, writer in slow:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
