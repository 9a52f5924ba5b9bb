"""The magic numbers, each seen from the POST, the webhooks, GET and the phone."""

import time

import httpx
import pytest

from tests.harness import eventually
from tests.sandbox.conftest import Sandbox

pytestmark = pytest.mark.anyio

PREFIX = "+1202555"


@pytest.mark.parametrize(
    ("digits", "final", "arrives"),
    [
        ("0001", "delivered", True),
        ("7777", "delivered", True),
        ("0100", "delivery_failed", False),
        ("0101", "sending_failed", False),
        ("0102", "delivery_unconfirmed", True),
        ("0111", "delivery_failed", True),
        ("0112", "delivery_failed", False),
        ("0113", "delivered", False),
    ],
)
async def test_a_number_ends_as_its_digits_say(
    shared: Sandbox, digits: str, final: str, arrives: bool
) -> None:
    to = PREFIX + digits
    id_ = await shared.send(to)
    events = await shared.hooks.of(id_, 2)

    by_type = {e["data"]["event_type"]: e["data"]["payload"] for e in events}
    assert by_type["message.sent"]["to"][0]["status"] == "sent"
    assert by_type["message.sent"]["cost"] is None
    payload = by_type["message.finalized"]
    assert payload["to"][0]["status"] == final
    assert payload["text"] == "123456 is your code"
    assert (payload["cost"] is None) == (final == "sending_failed")
    assert [e["code"] for e in payload["errors"]] == (["40008"] if "failed" in final else [])
    assert await shared.status(id_) == final
    (listed,) = await shared.listed(to=to)
    assert (listed["status"], listed["arrived"]) == (final, arrives)


async def test_0100_fails_for_its_first_sender_only(sandbox: Sandbox) -> None:
    to = PREFIX + "0100"
    first = await sandbox.send(to, "short_code")
    second = await sandbox.send(to, "long_code")
    again = await sandbox.send(to, "short_code")
    for id_ in (first, second, again):
        await sandbox.hooks.of(id_, 2)
    assert [m["status"] for m in await sandbox.listed(to=to)] == [
        "delivery_failed",
        "delivered",
        "delivery_failed",
    ]


async def test_0101_fails_for_every_sender(shared: Sandbox) -> None:
    to = PREFIX + "0101"
    for kind in ("short_code", "long_code", "number_pool"):
        id_ = await shared.send(to, kind)
        await shared.hooks.of(id_, 2)
        assert await shared.status(id_) == "sending_failed"


async def test_0103_is_sent_and_then_nothing_is_heard(shared: Sandbox) -> None:
    to = PREFIX + "0103"
    id_ = await shared.send(to)
    assert (await shared.until(to, lambda m: m["arrived"]))["status"] == "sent"
    events = await shared.hooks.of(id_, 1)
    assert [e["data"]["event_type"] for e in events] == ["message.sent"]


async def test_0104_sends_no_webhook_and_get_knows(sandbox: Sandbox) -> None:
    to = PREFIX + "0104"
    id_ = await sandbox.send(to)
    other = await sandbox.send(PREFIX + "0001")
    await sandbox.until(to, lambda m: m["arrived"])
    await sandbox.hooks.of(other, 2)
    assert await sandbox.status(id_) == "delivered"
    assert {b["data"]["payload"]["id"] for _, b in sandbox.hooks.seen} == {other}


@pytest.mark.parametrize(
    ("digits", "status", "code"), [("0105", 409, "40300"), ("0106", 400, "40001")]
)
async def test_a_refused_number_makes_no_message(
    shared: Sandbox, digits: str, status: int, code: str
) -> None:
    answer = await shared.post(PREFIX + digits)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (status, code)
    if code == "40300":
        assert error["title"] == "Blocked due to STOP message"
    assert await shared.listed() == []


async def test_0107_is_busy_twice(shared: Sandbox) -> None:
    to = PREFIX + "0107"
    for _ in range(2):
        answer = await shared.post(to)
        assert answer.status_code == 429
        assert answer.json()["errors"][0]["code"] == "10011"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-ratelimit-remaining"] == "0"
    assert len(await shared.hooks.of(await shared.send(to), 2)) == 2


async def test_0108_arrives_although_the_answer_was_500(shared: Sandbox) -> None:
    to = PREFIX + "0108"
    answer = await shared.post(to)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (500, "10007")
    (listed,) = await shared.listed(to=to)
    await shared.hooks.of(listed["id"], 2)
    assert (await shared.until(to, lambda m: m["arrived"]))["status"] == "delivered"


async def test_0109_never_answers_and_ends_with_the_caller(sandbox: Sandbox) -> None:
    """The server stops at once after this test, so the wait ended when the caller hung up."""
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        await sandbox.api.post(
            "/v2/messages/long_code",
            json={"to": PREFIX + "0109", "from": "+18445550001", "text": "hello"},
            timeout=0.1,
        )
    assert time.monotonic() - began < 2
    assert await sandbox.listed() == []


async def test_0110_reports_twice_and_out_of_order(shared: Sandbox) -> None:
    events = await shared.hooks.of(await shared.send(PREFIX + "0110"), 4)
    kinds = [e["data"]["event_type"] for e in events]
    assert sorted(kinds) == ["message.finalized"] * 2 + ["message.sent"] * 2
    assert kinds.index("message.finalized") < kinds.index("message.sent")
    assert len({e["data"]["id"] for e in events}) == 2


@pytest.mark.parametrize("kind", ["short_code", "number_pool"])
async def test_0112_delivers_for_all_but_long_codes(shared: Sandbox, kind: str) -> None:
    id_ = await shared.send(PREFIX + "0112", kind)
    await shared.hooks.of(id_, 2)
    assert await shared.status(id_) == "delivered"


async def test_a_scenario_set_by_hand_is_literal(sandbox: Sandbox) -> None:
    to = PREFIX + "0001"
    await sandbox.set("0100", to=to)
    for kind in ("short_code", "long_code"):
        id_ = await sandbox.send(to, kind)
        await sandbox.hooks.of(id_, 2)
        assert await sandbox.status(id_) == "delivery_failed"


async def test_the_narrower_scenario_wins(sandbox: Sandbox) -> None:
    to = PREFIX + "0101"
    await sandbox.set("0102", kind="short_code")
    await sandbox.set("0100", to=to)
    await sandbox.set("0001", to=to, kind="long_code")
    found = {}
    for kind in ("short_code", "long_code"):
        found[kind] = await sandbox.send(to, kind)
    found["another number"] = await sandbox.send(PREFIX + "0101", "number_pool")
    found["kind alone"] = await sandbox.send(PREFIX + "0002", "short_code")
    for id_ in found.values():
        await sandbox.hooks.of(id_, 2)
    assert {name: await sandbox.status(id_) for name, id_ in found.items()} == {
        "short_code": "delivery_failed",
        "long_code": "delivered",
        "another number": "delivery_failed",
        "kind alone": "delivery_unconfirmed",
    }


async def test_setting_0107_again_is_busy_again(sandbox: Sandbox) -> None:
    to = PREFIX + "0001"
    for _ in range(2):
        await sandbox.set("0107", to=to)
        assert [(await sandbox.post(to)).status_code for _ in range(3)] == [429, 429, 200]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"outcome": "0100"}',
        b'{"to": "+12025550001", "outcome": "0000"}',
        b'{"to": "+12025550001", "outcome": "9999"}',
        b'{"to": "+12025550001"}',
        b'{"to": "1", "outcome": "0100"}',
        b'{"kind": "pigeon", "outcome": "0100"}',
        b"\xff",
        b"[]",
    ],
)
async def test_a_wrong_scenario_is_refused_in_words(shared: Sandbox, body: bytes) -> None:
    answer = await shared.phone.post("/sandbox/scenarios", content=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


async def test_a_message_arrives_only_with_its_last_report(shared: Sandbox) -> None:
    to = PREFIX + "0001"
    await shared.send(to)

    async def delivered() -> bool:
        (message,) = await shared.listed(to=to)
        assert message["arrived"] == (message["status"] == "delivered")
        return bool(message["arrived"])

    await eventually(delivered, 5)
