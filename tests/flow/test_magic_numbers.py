"""Each magic number of the sandbox leads to its row of the decision table."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.harness import World, eventually, world

QUICK: dict[str, Any] = {
    "codes": {"unconfirmed_grace": 0.2, "uncertain_grace": 2},
    "senders": {
        name: section | {"report_timeout": 0.6}
        for name, section in {
            "short": {"kind": "short_code", "from": "12345"},
            "long": {"kind": "long_code", "from": "+18445550001"},
            "brand": {
                "kind": "alphanumeric",
                "from": "Acme",
                "messaging_profile_id": "00000000-0000-4000-8000-000000000001",
            },
            "pool": {
                "kind": "number_pool",
                "messaging_profile_id": "00000000-0000-4000-8000-000000000001",
            },
        }.items()
    },
}


@pytest.fixture
async def quick(redis: Redis, valkey: str) -> AsyncIterator[World]:
    """With waits of tenths of seconds."""
    async with world(valkey, **QUICK) as running:
        yield running


def _number(last: str) -> str:
    return f"+1202555{last}"


def _steps(v: dict[str, object]) -> list[tuple[str, str]]:
    deliveries: list[dict[str, str]] = v["deliveries"]  # type: ignore[assignment]
    return [(d["sender"], d["reason"]) for d in deliveries]


async def test_0001_is_delivered(quick: World) -> None:
    started = await quick.start(_number("0001"))
    v = await quick.until(started["id"], lambda v: v["deliveries"][0]["status"] == "delivered")
    assert _steps(v) == [("short", "initial")]
    assert v["deliveries"][0]["cost"] == {"amount": "0.0040", "currency": "USD"}


async def test_0101_fails_with_every_sender_and_ends_undeliverable(quick: World) -> None:
    started = await quick.start(_number("0101"))
    v = await quick.until(started["id"], lambda v: v["status"] == "undeliverable")
    assert _steps(v) == [
        ("short", "initial"),
        ("long", "delivery_failed"),
        ("pool", "delivery_failed"),
    ]
    assert v["deliveries"][0]["errors"] == [{"code": "40008", "title": "Undeliverable"}]


@pytest.mark.parametrize(
    ("last", "status", "reason"),
    [
        ("0100", "delivery_failed", "delivery_failed"),
        ("0102", "delivery_unconfirmed", "delivery_unconfirmed"),
        ("0103", "sent", "report_timeout"),
        ("0111", "delivery_failed", "delivery_failed"),
    ],
)
async def test_a_fallback_says_why(quick: World, last: str, status: str, reason: str) -> None:
    started = await quick.start(_number(last))
    v = await quick.until(started["id"], lambda v: len(v["deliveries"]) > 1)
    assert _steps(v)[:2] == [("short", "initial"), ("long", reason)]
    assert v["deliveries"][0]["status"] == status


@pytest.mark.parametrize("last", ["0102", "0103", "0108", "0111"])
async def test_the_first_code_that_arrived_is_still_right(quick: World, last: str) -> None:
    started = await quick.start(_number(last))
    first, *_ = await quick.codes(_number(last))
    if last != "0108":
        await quick.until(started["id"], lambda v: len(v["deliveries"]) > 1)
    answer = (await quick.verify(started["id"], first)).json()
    assert (answer["approved"], answer["delivery"]) == (True, 1)


async def test_0104_is_found_delivered_by_asking(quick: World) -> None:
    started = await quick.start(_number("0104"))
    v = await quick.until(started["id"], lambda v: v["deliveries"][0]["status"] == "delivered")
    assert _steps(v) == [("short", "initial")]


async def test_0105_is_an_opt_out_for_good(quick: World) -> None:
    number = _number("0105")
    v = await quick.start(number)
    assert v["status"] == "undeliverable"
    assert _steps(v) == [("short", "initial")]
    assert v["deliveries"][0]["status"] == "rejected"
    assert (await quick.api.get(f"/v1/opt-outs/{number}")).json()["source"] == "telnyx"
    again = await quick.api.post("/v1/verifications", json={"to": number})
    assert again.status_code == 403
    assert again.json()["type"].endswith("recipient-opted-out")


async def test_0106_is_no_mobile_and_no_sender_is_tried_in_vain(quick: World) -> None:
    v = await quick.start(_number("0106"))
    assert v["status"] == "undeliverable"
    assert _steps(v) == [("short", "initial")]


async def test_0107_is_tried_once_more_and_then_elsewhere(quick: World) -> None:
    started = await quick.start(_number("0107"))
    v = await quick.until(started["id"], lambda v: v["deliveries"][-1]["status"] == "delivered")
    assert _steps(v) == [
        ("short", "initial"),
        ("short", "provider_unavailable"),
        ("long", "provider_unavailable"),
    ]
    assert len(await quick.messages(_number("0107"))) == 1


async def test_0108_is_uncertain_until_its_report_and_never_repeated(quick: World) -> None:
    started = await quick.start(_number("0108"))
    v = await quick.until(started["id"], lambda v: v["deliveries"][0]["status"] == "delivered")
    assert _steps(v) == [("short", "initial")]
    assert len(await quick.messages(_number("0108"))) == 1


async def test_0109_gives_no_answer_and_the_next_sender_is_tried(quick: World) -> None:
    await quick.phone.post(
        "/sandbox/scenarios", json={"to": _number("0109"), "kind": "long_code", "outcome": "0001"}
    )
    started = await quick.start(_number("0109"))
    assert started["status"] == "pending"
    v = await quick.until(started["id"], lambda v: v["deliveries"][-1]["status"] == "delivered")
    assert _steps(v) == [("short", "initial"), ("long", "uncertain")]
    assert v["deliveries"][0]["status"] == "uncertain"


async def test_0110_is_applied_once_whatever_the_order(quick: World) -> None:
    started = await quick.start(_number("0110"))
    v = await quick.until(started["id"], lambda v: v["deliveries"][0]["status"] == "delivered")
    assert _steps(v) == [("short", "initial")]


async def test_0112_fails_for_long_codes_alone(quick: World) -> None:
    started = await quick.start(_number("0112"), senders=["long", "short"])
    v = await quick.until(started["id"], lambda v: v["deliveries"][-1]["status"] == "delivered")
    assert _steps(v) == [("long", "initial"), ("short", "delivery_failed")]


async def test_0113_is_a_lie_that_only_a_missing_proof_shows(quick: World) -> None:
    started = await quick.start(_number("0113"))
    v = await quick.until(started["id"], lambda v: v["deliveries"][0]["status"] == "delivered")
    assert not v["deliveries"][0]["proven"]
    assert [m["arrived"] for m in await quick.messages(_number("0113"))] == [False]


async def test_a_sender_that_is_not_allowed_for_the_country_is_passed_over(quick: World) -> None:
    v = await quick.start(_number("0001"), senders=["brand", "long"])
    assert _steps(v) == [("brand", "initial"), ("long", "sender_rejected")]


async def test_a_scenario_set_by_hand_is_literal(quick: World) -> None:
    number = _number("0150")
    await quick.phone.post("/sandbox/scenarios", json={"to": number, "outcome": "0100"})
    started = await quick.start(number)
    v = await quick.until(started["id"], lambda v: v["status"] == "undeliverable")
    assert len(v["deliveries"]) == 3


async def test_an_outage_of_telnyx_is_waited_out(quick: World) -> None:
    number = _number("0002")
    await quick.phone.post("/sandbox/outages", json={"mode": "down", "seconds": 1})
    started = await quick.start(number)
    assert started["deliveries"][0]["status"] == "uncertain"
    v = await quick.until(started["id"], lambda v: v["deliveries"][-1]["status"] == "delivered")
    assert _steps(v)[1] == ("long", "uncertain")


async def test_a_stop_stops_a_fallback_in_flight(quick: World) -> None:
    number = _number("0102")
    started = await quick.start(number)
    await quick.phone.post("/sandbox/inbound", json={"from": number, "text": "REVOKE"})
    v = await quick.until(started["id"], lambda v: v["status"] == "undeliverable")
    count = len(v["deliveries"])
    assert len(await quick.messages(number)) == count
    await quick.phone.post("/sandbox/inbound", json={"from": number, "text": "start"})

    async def lifted() -> bool:
        return (await quick.api.get(f"/v1/opt-outs/{number}")).status_code == 404

    await eventually(lifted)
