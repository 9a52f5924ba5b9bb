"""Where the two witnesses are read: the trail in Redis, and the sandbox's messages."""

import json
import re
from typing import Any

import httpx
from redis.asyncio import Redis

from service.store import keys
from tests.chaos.checker import Event, Sent
from tests.harness import TELNYX_KEY

_REFERENCE = re.compile(r"/(ver_[0-9a-f]{34})\.([0-9]+)\.[0-9a-f]{32}$")


async def trail(redis_url: str) -> list[Event]:
    """All events, each partition's in their order."""
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        pipe = client.pipeline(transaction=False)
        for partition in range(keys.PARTITIONS):
            pipe.xrange(f"{keys.prefix(partition)}audit")
        streams: list[Any] = await pipe.execute()
    return [json.loads(fields["event"]) for stream in streams for _, fields in stream]


async def sent(phone: httpx.AsyncClient, to: str | None = None) -> list[Sent]:
    """All messages that the sandbox took (for one number), with the delivery that each tells Telnyx of."""
    listed = (await phone.get("/sandbox/messages", params={"to": to} if to else {})).json()
    found = []
    for message in listed["messages"]:
        answer = await phone.get(
            f"/v2/messages/{message['id']}", headers={"authorization": f"Bearer {TELNYX_KEY}"}
        )
        match = _REFERENCE.search(answer.json()["data"]["webhook_url"])
        assert match is not None
        reference = match[1], int(match[2])
        found.append(Sent(message["id"], *reference, message["to"], message["text"]))
    return found
