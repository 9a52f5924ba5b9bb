"""Bad input of every kind is answered by the right problem, and never repeated."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.api.verifications import StartBody
from service.domain.recipient import InvalidNumberError, parse_recipient
from tests.harness import World, client, make_api_key

START = "/v1/verifications"
SECRET = "+12025550199"

BODIES: dict[str, bytes] = {
    "not JSON": b"to=+12025550123",
    "nothing": b"",
    "an array": b'["+12025550123"]',
    "half": b'{"to": "+1202555',
    "not UTF-8": b'{"to": "\xff"}',
    "a lone surrogate": b'{"to": "\\ud800"}',
    "NUL": b'{"to": "+1202555\\u00000123"}',
    "a number for a string": b'{"to": 12025550123}',
    "null": b'{"to": null}',
    "no to": b"{}",
    "40 digits": b'{"to": "+' + b"1" * 40 + b'"}',
    "no country": b'{"to": "+99912345678"}',
    "no plus": b'{"to": "12025550123"}',
    "other digits": '{"to": "+١٢٠٢٥٥٥٠١٢٣"}'.encode(),
    "an impossible number": b'{"to": "+10005550123"}',
    "an unknown member": b'{"to": "+12025550123", "x": 1}',
    "a length of 3": b'{"to": "+12025550123", "code_length": 3}',
    "a boolean length": b'{"to": "+12025550123", "code_length": true}',
    "a ttl of 601": b'{"to": "+12025550123", "ttl": 601}',
    "no senders": b'{"to": "+12025550123", "senders": []}',
    "an unknown sender": b'{"to": "+12025550123", "senders": ["x"]}',
    "a sender twice": b'{"to": "+12025550123", "senders": ["long", "long"]}',
    "no address": b'{"to": "+12025550123", "client_ip": "300.1.1.1"}',
    "an http origin": b'{"to": "+12025550123", "web_origin": "http://a.example"}',
    "a line break in the origin": b'{"to": "+12025550123", "web_origin": "a.example\\n"}',
    "a short hash": b'{"to": "+12025550123", "app_hash": "abc"}',
    "21 metadata": json.dumps(
        {"to": "+12025550123", "metadata": {str(n): "" for n in range(21)}}
    ).encode(),
    "metadata of numbers": b'{"to": "+12025550123", "metadata": {"a": 1}}',
    "the number in the metadata": b'{"to": "+12025550123", "metadata": {"a": "12025550123"}}',
    "deep": b"[" * 8000,
    "a purpose with blanks": b'{"to": "+12025550123", "purpose": "log in"}',
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_start_is_an_invalid_request(app: World, name: str) -> None:
    answer = await app.api.post(START, content=BODIES[name])
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].endswith("invalid-request")
    assert all(error["detail"] for error in problem["errors"])
    assert "1202555" not in answer.text


@pytest.mark.parametrize("code", [123456, "", "12", "abcdef", "1" * 40, None, ["1"], "12345\u0000"])
async def test_a_bad_code_costs_no_attempt(app: World, code: Any) -> None:
    started = await app.start("+12025550123")
    answer = await app.api.post(f"{START}/{started['id']}/verify", json={"code": code})
    assert answer.status_code == 422
    assert (await app.get(started["id"]))["attempts_remaining"] == 5


async def test_a_large_body_is_refused(app: World) -> None:
    for size in (17 * 1024, 1024 * 1024):
        answer = await app.api.post(START, content=b" " * size)
        assert answer.status_code == 413
        assert answer.json()["type"].endswith("payload-too-large")
    webhook = await app.api.post("/webhooks/telnyx", content=b" " * (64 * 1024 + 1))
    assert webhook.status_code == 413


@pytest.mark.parametrize(
    "id_", ["x", "ver_99" + "0" * 32, "ver_00" + "0" * 32, "ver_00" + "0" * 31, "%00", "ver_\u0660"]
)
async def test_an_unknown_id_is_not_found(app: World, id_: str) -> None:
    for answer in (
        await app.api.get(f"{START}/{id_}"),
        await app.api.post(f"{START}/{id_}/verify", json={"code": "123456"}),
        await app.api.post(f"{START}/{id_}/resend"),
        await app.api.post(f"{START}/{id_}/cancel"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("not-found")


async def test_keys_and_scopes(app: World) -> None:
    base = str(app.api.base_url)
    redis_url = app.settings.redis_url.get_secret_value()
    other = await make_api_key(redis_url, "other")
    narrow = await make_api_key(redis_url, "default", ())
    started = await app.start("+12025550123")
    path = f"{START}/{started['id']}"
    for key, status, slug in (
        (None, 401, "unauthorized"),
        ("cs_x_y", 401, "unauthorized"),
        ("Bearer", 401, "unauthorized"),
        (narrow, 403, "forbidden"),
        (other, 404, "not-found"),
    ):
        async with client(base, key) as caller:
            answer = await caller.get(path)
        assert (answer.status_code, answer.json()["type"].split("/")[-1]) == (status, slug)


async def test_what_has_no_route_or_type(app: World) -> None:
    for number, slug in (
        ("+18005550123", None),
        ("+19005551234", "number-type-not-allowed"),
        ("+442079460018", "number-type-not-allowed"),
    ):
        answer = await app.api.post(START, json={"to": number})
        if slug is not None:
            assert (answer.status_code, answer.json()["type"].split("/")[-1]) == (403, slug)


async def test_methods_and_paths(app: World) -> None:
    assert (await app.api.put(START)).status_code == 405
    assert (await app.api.get("/v2/nothing")).status_code == 404
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert (await app.api.get(path)).status_code == 200


async def test_limits_name_themselves(app: World) -> None:
    for _ in range(5):
        await app.start("+12025550123")
    answer = await app.api.post(START, json={"to": "+12025550123"})
    assert answer.status_code == 429
    assert answer.json()["limit"] == "recipient"
    assert 590 <= int(answer.headers["retry-after"]) <= 600
    assert answer.headers["ratelimit-policy"] == '"recipient";q=5;w=600'
    assert answer.headers["ratelimit"].startswith('"recipient";r=0;t=')


async def test_an_ipv6_client_is_its_64(app: World) -> None:
    for n in range(20):
        await app.start(f"+1202555{2000 + n}", client_ip=f"2001:db8::{n + 1:x}")
    answer = await app.api.post(START, json={"to": "+12025553000", "client_ip": "2001:db8::ff"})
    assert (answer.status_code, answer.json()["limit"]) == (429, "client_ip")


@given(st.text())
def test_any_text_is_a_recipient_or_an_invalid_number(text: str) -> None:
    try:
        recipient = parse_recipient(text)
    except InvalidNumberError:
        return
    assert recipient.e164 == text
    assert text not in repr(recipient)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_any_bytes_are_a_start_or_a_validation_error(body: bytes) -> None:
    try:
        StartBody.model_validate_json(body)
    except ValueError:
        return
