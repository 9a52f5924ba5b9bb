"""The live stream behind the inbox, and the page's headers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from service.sandbox import feed
from service.sandbox.feed import Feed, Topic
from service.sandbox.inbound import Inbound
from tests.harness import eventually
from tests.sandbox.conftest import Sandbox, running

pytestmark = pytest.mark.anyio

TO = "+12025550077"


class Stream:
    """An open stream, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, dict[str, Any]]:
        name = ""
        async with asyncio.timeout(5):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))
        raise AssertionError("the stream ended")

    async def until_entry(self, **wanted: Any) -> dict[str, Any]:
        while True:
            for entry in (await self.next())[1]["entries"]:
                if wanted.items() <= entry.items():
                    return dict(entry)


@asynccontextmanager
async def _opened(sandbox: Sandbox) -> AsyncIterator[Stream]:
    async with sandbox.phone.stream("GET", "/sandbox/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response)


async def test_a_stream_begins_with_everything(sandbox: Sandbox) -> None:
    await sandbox.hooks.of(await sandbox.send(TO), 2)
    await sandbox.write(TO, "STOP")
    await sandbox.set("0101", to=TO, kind="short_code")
    await sandbox.phone.post("/sandbox/outages", json={"mode": "down", "seconds": 30})
    async with _opened(sandbox) as stream:
        name, found = await stream.next()
    assert name == "snapshot"
    message, reply = found["entries"]
    assert (message["phone"], message["status"], message["arrived"]) == (TO, "delivered", True)
    assert message["created_at"] <= message["sent_at"] <= message["completed_at"]
    assert [(r["event_type"], r["taken"]) for r in message["reports"]] == [
        ("message.sent", True),
        ("message.finalized", True),
    ]
    assert (reply["phone"], reply["text"], reply["blocked"]) == (TO, "STOP", True)
    assert found["scenarios"] == [{"to": TO, "kind": "short_code", "outcome": "0101"}]
    assert found["outage"]["mode"] == "down"
    assert 0 < found["outage"]["seconds_left"] <= 30


async def test_each_change_is_told(sandbox: Sandbox) -> None:
    async with _opened(sandbox) as stream:
        await stream.next()
        id_ = await sandbox.send(TO)
        final = await stream.until_entry(id=id_, status="delivered", arrived=True)
        while len(final["reports"]) < 2:
            final = await stream.until_entry(id=id_)
        reply = await sandbox.write(TO, "who is this?")
        assert (await stream.until_entry(id=reply))["blocked"] is False
        await sandbox.phone.post("/sandbox/outages", json={"mode": "slow", "seconds": 0.2})
        assert (await stream.next())[1]["outage"]["mode"] == "slow"
        assert (await stream.next())[1]["outage"] == {"mode": "none", "seconds_left": 0.0}


async def test_a_report_that_nobody_took_is_told_as_such(sandbox: Sandbox) -> None:
    async with _opened(sandbox) as stream:
        id_ = await sandbox.send(TO, webhook_url="http://127.0.0.1:1/", use_profile_webhooks=False)
        found = await stream.until_entry(id=id_)
        while not found["reports"]:
            found = await stream.until_entry(id=id_)
    assert found["reports"][0]["taken"] is False


async def test_who_leaves_is_forgotten(sandbox: Sandbox) -> None:
    watchers = sandbox.app.state.network.feed._watchers

    async def none_left() -> bool:
        return not watchers

    async with _opened(sandbox) as stream:
        await stream.next()
        assert len(watchers) == 1
    await eventually(none_left, 5)


async def test_a_stop_is_not_held_up_by_a_watcher() -> None:
    async with AsyncExitStack() as stack:
        async with running() as sandbox:
            url = f"{sandbox.phone.base_url}/sandbox/events"
            phone = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            response = await stack.enter_async_context(phone.stream("GET", url))
            stream = Stream(response)
            await stream.next()
        # The server has stopped, or we would not be here; it ended the stream as one ends it.
        with pytest.raises(AssertionError, match="the stream ended"):
            await stream.next()


async def test_a_slow_watcher_gets_everything_anew_instead_of_a_backlog() -> None:
    told = Feed()
    with told.watch() as watcher:
        batches = watcher.batches()
        assert list(await anext(batches)) == [Topic.EVERYTHING]
        same = Inbound(from_=TO, text="hello")
        for _ in range(10_000):
            told.changed(same)
        assert list(await anext(batches)) == [same]
        for n in range(10_000):
            told.changed(Inbound(from_=TO, text=str(n)))
            assert len(watcher._changed) <= feed._MOST
        assert Topic.EVERYTHING in await anext(batches)
        told.end()
        assert [batch async for batch in batches] == []


async def test_a_silent_stream_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_HEARTBEAT", 0.01)
    with Feed().watch() as watcher:
        batches = watcher.batches()
        await anext(batches)
        assert await anext(batches) == ()


async def test_the_page_may_run_nothing_but_its_own(shared: Sandbox) -> None:
    first, second = await shared.phone.get("/"), await shared.phone.get("/")
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
    assert first.text.count(f'nonce="{nonce}"') == 2
    assert nonce not in second.text
    assert re.findall(r"(?:src|href)=\"(?!data:|/inbox/|#)", first.text) == []
    assert not re.search(r"\s(on\w+|style)=", first.text)


@pytest.mark.parametrize("name", ["index.html", "none.js", "..%2Finbox.py", "js"])
async def test_only_the_parts_of_the_page_are_served(shared: Sandbox, name: str) -> None:
    assert (await shared.phone.get(f"/inbox/{name}")).status_code == 404
    answer = await shared.phone.get("/inbox/main.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["x-content-type-options"] == "nosniff"
