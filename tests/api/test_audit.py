"""The audit trail over HTTP: whole, in order, and nobody sees what is another app's."""

import asyncio
import json
from typing import Any

import pytest

from service.store.api_keys import Scope
from tests.harness import World, client, make_api_key

EVENTS = "/v1/audit/events"


async def _page(app: World, **query: str) -> dict[str, Any]:
    answer = await app.api.get(EVENTS, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _all(app: World, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await _page(app, **query, **cursor)
        found += page["events"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_a_login_is_told_from_its_start_to_its_end(app: World) -> None:
    number = "+12025550100"  # the first message fails, the second arrives
    started = await app.start(number, purpose="told")
    (code,) = await app.codes(number)
    await app.verify(started["id"], "0000")
    assert (await app.verify(started["id"], code)).json()["approved"]
    await asyncio.sleep(0.01)  # Redis' clock has to pass the last event's millisecond
    events = await _all(app, verification=started["id"], limit="3")
    types = [event["type"] for event in events]
    assert types[0] == "verification.created"
    assert types.count("delivery.begun") == 2
    assert {"delivery.reported", "attempt.rejected", "verification.approved"} <= set(types)
    assert [e["reason"] for e in events if e["type"] == "delivery.begun"] == [
        "initial",
        "delivery_failed",
    ]
    assert all(event["recipient"] == events[0]["recipient"] for event in events)
    assert all(event["masked"] == "+1********00" for event in events)
    assert number[1:] not in json.dumps(events)
    for recipient in (number, events[0]["recipient"]):
        of_person = await _all(app, recipient=recipient)
        assert [e["id"] for e in of_person if e["verification"] == started["id"]] == [
            event["id"] for event in events
        ]


async def test_pages_are_whole_while_others_write(app: World) -> None:
    async def write(n: int) -> None:
        for i in range(5):
            await app.start(f"+1202555{2000 + 10 * n + i}", purpose="busy")

    async def read() -> list[str]:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await _page(app, limit="7", **cursor)
            seen += [event["id"] for event in page["events"]]
            if page["next_cursor"] is None:
                return seen
            cursor = {"cursor": page["next_cursor"]}

    writing = asyncio.gather(*(write(n) for n in range(4)))
    reads = await asyncio.gather(*(read() for _ in range(3)))
    await writing
    await asyncio.sleep(0.01)
    whole = [event["id"] for event in await _all(app, limit="1000")]
    assert len(set(whole)) == len(whole)
    for seen in reads:
        assert seen == whole[: len(seen)]
    instants = [tuple(map(int, id_.split("-")[1:])) for id_ in whole]
    assert instants == sorted(instants)


async def test_the_stream_is_the_pages_as_lines(app: World) -> None:
    await app.start("+12025550003", purpose="stream")
    await asyncio.sleep(0.01)
    pages = await _all(app, limit="50", type="verification.created")
    answer = await app.api.get(
        EVENTS,
        params={"type": "verification.created"},
        headers={"accept": "application/x-ndjson"},
    )
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[: len(pages)] == pages
    assert json.loads(pages[0]["event"]["original"])["type"] == "verification.created"


async def test_an_app_sees_its_own_events_alone(app: World) -> None:
    await app.start("+12025550004", purpose="mine")
    await asyncio.sleep(0.01)
    url = app.settings.redis_url.get_secret_value()
    other = await make_api_key(url, "other", (Scope.AUDIT,))
    own = await make_api_key(url, "default", (Scope.AUDIT,))
    no_scope = await make_api_key(url, "default", (Scope.VERIFICATIONS,))
    base = str(app.api.base_url)
    async with client(base, other) as api:
        assert (await api.get(EVENTS)).json() == {"events": [], "next_cursor": None}
    async with client(base, own) as api:
        events = (await api.get(EVENTS)).json()["events"]
        assert {event["app"] for event in events} == {"default"}
    async with client(base, no_scope) as api:
        assert (await api.get(EVENTS)).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=1-1-64",
        "limit=0",
        "limit=1001",
        "limit=٣",
        "type=login",
        "verification=ver_1",
        "recipient=somebody",
    ],
)
async def test_a_faulty_question_is_told_so(app: World, query: str) -> None:
    answer = await app.api.get(f"{EVENTS}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].strip("/") == query.partition("=")[0]
