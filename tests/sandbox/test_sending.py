"""What the emulated API takes, refuses and answers."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sandbox.encoding import encode
from service.sandbox.errors import TelnyxError
from service.sandbox.messages import Messages
from service.sandbox.requests import read_request
from service.sandbox.scenarios import Kind
from tests.sandbox.conftest import BRAND, LONG, PROFILE, SHORT, Sandbox

pytestmark = pytest.mark.anyio

TO, FRENCH = "+12025550001", "+33612345678"


@pytest.mark.parametrize(
    ("kind", "changes", "refusal"),
    [
        ("long_code", {"to": None}, (422, "10004", "/to")),
        ("long_code", {"to": "2025550001"}, (400, "40310", "/to")),
        ("long_code", {"to": "+1202555000x"}, (400, "40310", "/to")),
        ("long_code", {"to": ["+12025550001"]}, (400, "10003", "/to")),
        ("long_code", {"from": None}, (422, "10004", "/from")),
        ("long_code", {"from": SHORT}, (400, "40305", "/from")),
        ("short_code", {"from": LONG}, (400, "40305", "/from")),
        ("long_code", {"text": ""}, (422, "10004", "/text")),
        ("long_code", {"text": None}, (422, "10004", "/text")),
        ("long_code", {"text": 7}, (400, "10003", "/text")),
        ("long_code", {"text": "日本", "encoding": "gsm7"}, (400, "10003", "/text")),
        ("long_code", {"text": "a" * 1531}, (400, "40302", "/text")),
        ("long_code", {"text": "日" * 671}, (400, "40302", "/text")),
        ("long_code", {"encoding": "morse"}, (400, "10003", "/encoding")),
        ("long_code", {"webhook_url": "mailto:x"}, (400, "10003", "/webhook_url")),
        ("long_code", {"webhook_url": "http://["}, (400, "10003", "/webhook_url")),
        ("long_code", {"use_profile_webhooks": "no"}, (400, "10003", "/use_profile_webhooks")),
        ("number_pool", {"messaging_profile_id": None}, (422, "10004", "/messaging_profile_id")),
        ("number_pool", {"messaging_profile_id": "mine"}, (400, "10003", "/messaging_profile_id")),
        (
            "alphanumeric_sender_id",
            {"to": FRENCH, "messaging_profile_id": None},
            (422, "10004", "/messaging_profile_id"),
        ),
        ("alphanumeric_sender_id", {"to": FRENCH, "from": "12345"}, (400, "40305", "/from")),
        ("alphanumeric_sender_id", {"to": FRENCH, "from": "A" * 12}, (400, "40305", "/from")),
        ("alphanumeric_sender_id", {"to": FRENCH, "from": "Ac-me"}, (400, "40305", "/from")),
        ("alphanumeric_sender_id", {}, (400, "40301", "/to")),
    ],
)
async def test_a_wrong_request_is_refused_with_code_and_pointer(
    shared: Sandbox, kind: str, changes: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    answer = await shared.post(**{"to": TO, "kind": kind, **changes})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"], error["source"]["pointer"]) == refusal
    assert error["title"]
    assert error["detail"]
    assert await shared.listed() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
async def test_what_is_not_a_json_object_is_refused(shared: Sandbox, body: bytes) -> None:
    answer = await shared.api.post("/v2/messages", content=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "10015")


_TEXT = st.text(st.sampled_from("+1aé日€{ \x00\n\ud800"))
_JSON = st.recursive(st.none() | st.booleans() | st.floats() | _TEXT, st.lists, max_leaves=3)
_FIELDS = ["to", "from", "text", "messaging_profile_id", "encoding", "webhook_url"]
_VALUES = _JSON | st.sampled_from([TO, FRENCH, LONG, SHORT, BRAND, PROFILE, "http://h/", "gsm7"])


_OBJECTS = st.dictionaries(st.sampled_from(_FIELDS), _VALUES).map(lambda d: json.dumps(d).encode())


@given(st.binary() | _OBJECTS, st.sampled_from([None, *Kind]))
def test_any_bytes_are_a_request_or_a_refusal(body: bytes, kind: Kind | None) -> None:
    status = 200
    try:
        read_request(body, kind)
    except TelnyxError as error:
        status = error.status
    assert status < 500


async def test_a_body_over_one_mebibyte_is_refused(shared: Sandbox) -> None:
    answer = await shared.api.post("/v2/messages", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "10015"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic KEY0123456789"])
async def test_without_the_key_nothing_is_sent(shared: Sandbox, header: str) -> None:
    headers = {"authorization": header} if header else {}
    answer = await shared.phone.post("/v2/messages", headers=headers, json={})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "10009")


@pytest.mark.parametrize(
    "path", ["/v2/nothing", "/v2/messages/nothing", f"/v2/messages/{PROFILE}", "/nothing"]
)
async def test_an_unknown_path_or_id_is_not_found(shared: Sandbox, path: str) -> None:
    answer = await shared.api.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "10005")


async def test_an_accepted_message_is_answered_in_full(shared: Sandbox) -> None:
    answer = await shared.post(
        TO, text="{123}", unknown="ignored", webhook_failover_url="http://h/f"
    )
    data = answer.json()["data"]
    assert data["record_type"] == "message"
    assert data["from"] == {"phone_number": LONG, "carrier": "TELNYX LLC", "line_type": "VoIP"}
    assert [(to["phone_number"], to["status"]) for to in data["to"]] == [(TO, "queued")]
    assert (data["encoding"], data["parts"], data["num_chars"]) == ("GSM-7", 1, 5)
    assert data["cost"] is None
    assert data["errors"] == []
    assert data["wait_seconds"] == 0
    assert datetime.fromisoformat(data["valid_until"]) > datetime.now(UTC)
    assert data["webhook_failover_url"] == "http://h/f"
    got = (await shared.api.get(f"/v2/messages/{data['id']}")).json()["data"]
    assert got.keys() == data.keys()


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"from": LONG}, "long_code"),
        ({"from": SHORT}, "short_code"),
        ({"from": BRAND, "messaging_profile_id": PROFILE}, "alphanumeric"),
        ({"messaging_profile_id": PROFILE}, "number_pool"),
    ],
)
async def test_the_generic_endpoint_tells_the_kind_by_from(
    shared: Sandbox, fields: dict[str, str], kind: str
) -> None:
    answer = await shared.api.post("/v2/messages", json={"to": FRENCH, "text": "hi", **fields})
    assert answer.status_code == 200, answer.text
    assert [m["kind"] for m in await shared.listed(to=FRENCH)] == [kind]


async def test_the_generic_endpoint_wants_from_or_a_pool(shared: Sandbox) -> None:
    answer = await shared.api.post("/v2/messages", json={"to": TO, "text": "hi"})
    assert answer.json()["errors"][0]["source"] == {"pointer": "/from"}


async def test_the_alphanumeric_endpoint_knows_no_encoding(shared: Sandbox) -> None:
    await shared.send(FRENCH, "alphanumeric_sender_id", encoding="morse")


@pytest.mark.parametrize(
    ("text", "encoding", "parts"),
    [
        ("a" * 160, "GSM-7", 1),
        ("a" * 161, "GSM-7", 2),
        ("€" * 80, "GSM-7", 1),
        ("€" * 81, "GSM-7", 2),
        ("日" * 70, "UTF-16", 1),
        ("日" * 71, "UTF-16", 2),
        ("😀" * 36, "UTF-16", 2),
    ],
)
def test_parts_are_counted_as_telnyx_counts(text: str, encoding: str, parts: int) -> None:
    encoded = encode(text)
    assert (encoded.name, encoded.parts) == (encoding, parts)


async def test_messages_are_listed_by_number_and_time(shared: Sandbox) -> None:
    await shared.send(TO, text="one")
    await shared.send("+12025550002", text="two")
    await shared.send(TO, text="three")
    assert [m["text"] for m in await shared.listed()] == ["one", "two", "three"]
    assert [m["text"] for m in await shared.listed(to=TO)] == ["one", "three"]
    # An unescaped + is a blank in a query, in a number as in a time's offset.
    answer = await shared.phone.get(f"/sandbox/messages?to={TO}&since=2020-01-01T00:00:00+00:00")
    assert len(answer.json()["messages"]) == 2
    assert await shared.listed(since="2999-01-01T00:00:00Z") == []
    bad = await shared.phone.get("/sandbox/messages", params={"since": "yesterday"})
    assert bad.status_code == 422


async def test_a_message_is_not_older_than_the_moment_before_it(shared: Sandbox) -> None:
    """Messages are dated in milliseconds, a caller's clock is finer."""
    since = datetime.now(UTC).isoformat()
    await shared.send(TO)
    assert len(await shared.listed(since=since)) == 1


def test_the_oldest_messages_are_forgotten() -> None:
    messages = Messages(most=2)
    added = []
    for n in range(3):
        body = {"to": f"+1202555000{n}", "from": LONG, "text": str(n)}
        added.append(messages.add(read_request(json.dumps(body).encode(), None)))
    assert messages.get(added[0].id) is None
    assert list(messages.of(added[0].request.to)) == []
    assert messages.newest(5) == added[1:]


async def test_many_sends_at_once_all_arrive(shared: Sandbox) -> None:
    ids = await asyncio.gather(*(shared.send(f"+1202555{n:04}") for n in range(2000, 2080)))
    for id_ in ids:
        await shared.hooks.of(id_, 2)
    assert len({m["id"] for m in await shared.listed() if m["arrived"]}) == 80
