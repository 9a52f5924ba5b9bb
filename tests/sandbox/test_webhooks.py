"""Signed webhooks: attempts, failover, outages, and what phones write back. The receiver checks every
signature, so each test here is a test of the signature too."""

import asyncio
import gc
import time
from typing import Any

import pytest

from service.sandbox.config import SandboxConfig
from service.sandbox.outage import Outage
from service.sandbox.webhooks import Courier
from tests.harness import eventually
from tests.sandbox.conftest import API_KEY, BRAND, SHORT, Sandbox, running

pytestmark = pytest.mark.anyio

TO = "+12025550001"
PEN_FRIEND = "+12025550042"  # nothing is sent to it, whatever it wrote


def _attempts(sandbox: Sandbox, event_type: str) -> list[tuple[str, int]]:
    return [
        (path, body["meta"]["attempt"])
        for path, body in sandbox.hooks.seen
        if body["data"]["event_type"] == event_type
    ]


async def _final(sandbox: Sandbox, count: int) -> list[tuple[str, int]]:
    """The attempts at the final report, once there are ``count``."""

    async def enough() -> list[tuple[str, int]]:
        found = _attempts(sandbox, "message.finalized")
        return found if len(found) >= count else []

    return await eventually(enough, 5)


async def test_a_report_that_is_taken_is_sent_once(sandbox: Sandbox) -> None:
    events = await sandbox.hooks.of(await sandbox.send(TO), 2)
    await sandbox.hooks.of(await sandbox.send(TO), 2)
    assert len(sandbox.hooks.seen) == 4
    for event in events:
        assert event["data"]["record_type"] == "event"
        assert event["meta"] == {"attempt": 1, "delivered_to": f"{sandbox.hooks.url}/message"}
    assert all(abs(time.time() - int(stamp)) < 10 for stamp in sandbox.hooks.timestamps)


async def test_a_refused_report_is_tried_again_under_the_same_id(sandbox: Sandbox) -> None:
    await sandbox.set("0103", to=TO)
    sandbox.hooks.answers["/message"] = [500, 302]
    events = await sandbox.hooks.of(await sandbox.send(TO), 3)
    assert [e["meta"]["attempt"] for e in events] == [1, 2, 3]
    assert len({e["data"]["id"] for e in events}) == 1


async def test_failover_comes_before_the_profile(sandbox: Sandbox) -> None:
    sandbox.hooks.answers = {"/message": [500] * 6, "/failover": [500] * 6}
    await sandbox.send(TO, webhook_failover_url=f"{sandbox.hooks.url}/failover")
    assert await _final(sandbox, 7) == [
        *(("/message", n) for n in (1, 2, 3)),
        *(("/failover", n) for n in (4, 5, 6)),
        ("/profile", 7),
    ]


async def test_the_profile_can_be_left_out(sandbox: Sandbox) -> None:
    id_ = await sandbox.send(TO, webhook_url=None, use_profile_webhooks=False)
    await sandbox.until(TO, lambda m: m["arrived"])
    assert await sandbox.hooks.of(await sandbox.send(TO, webhook_url=None), 2)
    assert id_ not in {b["data"]["payload"]["id"] for _, b in sandbox.hooks.seen}


async def test_a_slow_or_absent_receiver_is_given_up() -> None:
    async with running(webhook_timeout=0.05, retry_delays=(0.01,)) as sandbox:
        sandbox.hooks.slow.add("/message")
        await sandbox.send(TO, webhook_failover_url="http://127.0.0.1:1/")
        final = await _final(sandbox, 3)
    assert final == [("/message", 1), ("/message", 2), ("/profile", 5)]


async def test_while_telnyx_is_down_nothing_goes_in_or_out() -> None:
    to = "+12025550123"
    # Long enough that the outage begins before the first report.
    async with running(report_delay=0.4) as sandbox:
        await sandbox.send(to)
        await sandbox.phone.post("/sandbox/outages", json={"mode": "down", "seconds": 30})
        for answer in (await sandbox.post(to), await sandbox.api.get("/v2/messages/x")):
            assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "10037")
        await sandbox.until(to, lambda m: m["arrived"])
        assert _attempts(sandbox, "message.finalized") == []

        await sandbox.phone.post("/sandbox/outages", json={"mode": "none", "seconds": 0})
        assert await _final(sandbox, 1) == [("/message", 1)]
        assert (await sandbox.post(to)).status_code == 200


async def test_an_outage_ends_by_itself(sandbox: Sandbox) -> None:
    id_ = await sandbox.send(TO)
    await sandbox.phone.post("/sandbox/outages", json={"mode": "down", "seconds": 0.1})
    assert (await sandbox.post(TO)).status_code == 503

    async def up() -> bool:
        return (await sandbox.post(TO)).status_code == 200

    await eventually(up, 5)
    await sandbox.hooks.of(id_, 2)


async def test_a_slow_telnyx_answers_late_until_it_is_over() -> None:
    async with running(slow_seconds=0.2) as sandbox:
        await sandbox.phone.post("/sandbox/outages", json={"mode": "slow", "seconds": 30})
        began = time.monotonic()
        await sandbox.send(TO)
        assert time.monotonic() - began >= 0.2
        await sandbox.phone.post("/sandbox/outages", json={"mode": "none"})
        began = time.monotonic()
        await sandbox.send(TO)
        assert time.monotonic() - began < 0.2


@pytest.mark.parametrize(
    "body", [{}, {"mode": "away", "seconds": 1}, {"mode": "down", "seconds": -1}]
)
async def test_a_wrong_outage_is_refused(shared: Sandbox, body: dict[str, Any]) -> None:
    assert (await shared.phone.post("/sandbox/outages", json=body)).status_code == 422


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (" stop ", "STOP"),
        ("Stop  All", "STOP"),
        ("unstop", "START"),
        ("HELP", "HELP"),
        ("please stop", None),
    ],
)
async def test_a_phone_writes_back(shared: Sandbox, text: str, kind: str | None) -> None:
    id_ = await shared.write(PEN_FRIEND, text)
    (event,) = await shared.hooks.of(id_, 1)
    payload = event["data"]["payload"]
    assert event["data"]["event_type"] == "message.received"
    assert payload["direction"] == "inbound"
    assert payload["from"]["phone_number"] == PEN_FRIEND
    assert [to["phone_number"] for to in payload["to"]] == ["+18445550001"]
    assert (payload["text"], payload["autoresponse_type"]) == (text, kind)


async def test_a_reply_goes_to_whoever_wrote_last(shared: Sandbox) -> None:
    await shared.send(TO, "long_code")
    await shared.send(TO, "short_code")
    (event,) = await shared.hooks.of(await shared.write(TO, "who is this?"), 1)
    assert event["data"]["payload"]["to"][0]["phone_number"] == SHORT
    (event,) = await shared.hooks.of(await shared.write(TO, "hello", to=BRAND), 1)
    assert event["data"]["payload"]["to"][0]["phone_number"] == BRAND


async def test_stop_blocks_every_sender_until_start(sandbox: Sandbox) -> None:
    await sandbox.write(TO, "STOP")
    for kind in ("long_code", "short_code", "number_pool"):
        answer = await sandbox.post(TO, kind)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "40300")
    assert (await sandbox.post("+12025550002")).status_code == 200
    await sandbox.write(TO, "START")
    assert (await sandbox.post(TO)).status_code == 200


async def test_without_a_profile_webhook_a_reply_is_refused_and_changes_nothing() -> None:
    async with running(profile_webhooks=False) as sandbox:
        answer = await sandbox.phone.post("/sandbox/inbound", json={"from": TO, "text": "STOP"})
        assert answer.status_code == 422
        assert "webhook" in answer.json()["error"]
        assert (await sandbox.post(TO)).status_code == 200


async def test_a_stop_leaves_no_webhook_behind() -> None:
    """What waits for a receiver, for its time or for the end of an outage ends with the server."""
    async with running(report_delay=60, retry_delays=(60,)) as sandbox:
        await sandbox.send(TO)
        sandbox.hooks.answers["/profile"] = [500]
        await sandbox.hooks.of(await sandbox.write(TO, "hello"), 1)
        await sandbox.phone.post("/sandbox/outages", json={"mode": "down", "seconds": 60})
        await sandbox.write(TO, "hello again")
    left = [t for t in asyncio.all_tasks() if "Courier" in repr(t) or "Network" in repr(t)]
    assert left == []


async def test_it_leaves_no_connection_open_that_its_receiver_had_left() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        await until_all_are_here.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    until_all_are_here = asyncio.Barrier(10)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    url = f"http://127.0.0.1:{address[1]}/"
    config = SandboxConfig(api_key=API_KEY, signing_seed=bytes(32), retry_delays=())
    courier = Courier(config, Outage(lambda: None))
    assert all(await asyncio.gather(*(courier.deliver({}, [url]) for _ in range(10))))
    server.close()
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.01)  # until the courier's side has seen it

    courier.spawn(courier.deliver({}, [url]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await courier.close()
    known = [one for one in gc.get_objects() if isinstance(one, asyncio.Transport)]
    its = [one for one in known if one.get_extra_info("peername") == address]
    assert its
    assert [one for one in its if not one.is_closing()] == []
