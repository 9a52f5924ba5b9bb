"""``GET /sandbox/events``: the inbox as server-sent events (WHATWG HTML, "Server-sent events").

Each event has the same members: ``entries``, the messages and replies as they are now, and where they
changed ``outage`` and ``scenarios``. A ``snapshot`` has everything and comes first, so a client that
lost its connection only has to connect again; a ``change`` has what is new.
"""

import asyncio
import json
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from litestar import get
from litestar.di import NamedDependency
from litestar.types import ASGIApp, Receive, Scope, Send

from service.sandbox.feed import Change, Topic
from service.sandbox.inbound import Inbound
from service.sandbox.messages import Message
from service.sandbox.phones import Network
from service.sandbox.scenarios import Kind

SHOWN = 500
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back
]


@get("/sandbox/events")
async def events(network: NamedDependency[Network]) -> ASGIApp:
    return partial(_serve, network)


async def _serve(network: Network, scope: Scope, receive: Receive, send: Send) -> None:
    """Stream until the sandbox ends, or the watcher goes: then whatever the stream is waiting for."""
    del scope
    stream, gone = asyncio.create_task(_stream(network, send)), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait([stream, gone], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stream.cancel()
        gone.cancel()
        await asyncio.gather(stream, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(network: Network, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    with network.feed.watch() as watcher:
        async for batch in watcher.batches():
            body = _event(network, batch)
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _event(network: Network, batch: Collection[Change]) -> bytes:
    if not batch:
        return b":\n\n"
    name = "snapshot" if Topic.EVERYTHING in batch else "change"
    found = snapshot(network) if name == "snapshot" else _changes(network, batch)
    return f"event: {name}\ndata: {json.dumps(found)}\n\n".encode()


def snapshot(network: Network) -> dict[str, Any]:
    """The newest ``SHOWN`` messages and all else that the page shows."""
    entries: list[Change] = [*network.messages.newest(SHOWN), *network.replies]
    return _changes(network, [*entries, Topic.OUTAGE, Topic.SCENARIOS]) | {
        "shown": SHOWN,
        "kinds": list(Kind),
    }


def _changes(network: Network, batch: Iterable[Change]) -> dict[str, Any]:
    found: dict[str, Any] = {"entries": []}
    for change in batch:
        match change:
            case Message():
                found["entries"].append(_message(change))
            case Inbound():
                blocked = network.opt_outs.blocks(change.messaging_profile_id, change.from_)
                found["entries"].append(_reply(change, blocked=blocked))
            case Topic.OUTAGE:
                outage = network.outage
                found["outage"] = {"mode": outage.mode, "seconds_left": outage.seconds_left}
            case Topic.SCENARIOS:
                found["scenarios"] = network.scenarios.newest(SHOWN)
    return found


def _message(message: Message) -> dict[str, Any]:
    return {
        "type": "message",
        "phone": message.request.to,
        **message.listed(),
        "sent_at": message.sent_at,
        "completed_at": message.completed_at,
        "reports": message.reports,
    }


def _reply(reply: Inbound, *, blocked: bool) -> dict[str, Any]:
    """``blocked``: whether the phone that wrote it has opted out by now."""
    return {
        "type": "reply",
        "phone": reply.from_,
        "id": reply.id,
        "to": reply.to,
        "text": reply.text,
        "created_at": reply.created_at,
        "blocked": blocked,
    }
