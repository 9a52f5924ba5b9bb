"""Webhooks: how many a second, next to what a signature and one script take; and how soon a failed report
leads to the next sender's message."""

import asyncio
import base64
import json
import time
import uuid
from datetime import UTC, datetime

from nacl.signing import SigningKey

from service.cli.bench.people import RefusedError, Tally, at_once
from service.cli.bench.wire import Client
from service.store.connection import Connection
from service.store.scripts import Scripts
from tests.bench.logins import AT_ONCE, LENGTH, Logins
from tests.bench.rig import Rig

_OF_EACH = 4  # different reports of one message


def signed(rig: Rig, status: str, message: dict[str, str]) -> tuple[str, bytes, dict[str, str]]:
    """Path, body and headers of a report, as Telnyx sends it."""
    event = {
        "data": {
            "id": str(uuid.uuid4()),
            "event_type": "message.finalized",
            "occurred_at": datetime.now(UTC).isoformat(),
            "payload": {
                "id": "40385f64-5717-4562-b3fc-000000000000",
                "to": [{"phone_number": message["to"], "status": status}],
                "errors": [] if status == "delivered" else [{"code": "40008", "title": "t"}],
            },
        }
    }
    body, at = json.dumps(event).encode(), str(int(time.time()))
    signature = SigningKey(rig.seed).sign(f"{at}|".encode() + body).signature
    headers = {
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        "telnyx-timestamp": at,
    }
    return message["webhook_url"].removeprefix(rig.url), body, headers


async def rate(rig: Rig, people: Logins) -> tuple[float, float]:
    """Webhooks a second, and what one check of a signature and one script allow here."""
    await people.starts()
    messages = list(rig.messages.values())
    waiting = [signed(rig, "delivered", m) for m in messages for _ in range(_OF_EACH)]
    clients: list[Client] = []

    async def report(tally: Tally) -> None:
        if not waiting:
            await asyncio.sleep(0.01)
            return
        client = clients.pop() if clients else await Client.connect(rig.url)
        status, _ = await client.post(*waiting.pop())
        assert status == 200, status
        clients.append(client)
        tally.done += 1

    done = 0.0
    begun = time.perf_counter()
    while waiting and time.perf_counter() - begun < LENGTH:
        done += (await at_once(report, AT_ONCE, 0.25)).done
    took = time.perf_counter() - begun
    rig.messages.clear()
    return done / took, await _least(rig)


async def _least(rig: Rig) -> float:
    key, body = SigningKey(rig.seed), b"x" * 700
    signature, check = key.sign(body).signature, key.verify_key
    connection = await Connection.open(rig.redis_url)
    scripts = Scripts(connection)

    async def one(tally: Tally) -> None:
        check.verify(body, signature)
        await scripts.run("knows", {"known": "cs:{00}:bench"}, {})
        tally.done += 1

    found = await at_once(one, AT_ONCE, 2.0)
    await connection.close()
    return found.rate


async def _started(people: Logins) -> str:
    """A number that has its first message; what is turned away comes again, as people do."""
    while True:
        async with people.people.connection() as connection:
            try:
                _, number = await people.people.start(connection)
            except RefusedError:
                await asyncio.sleep(0.1)
            else:
                return number


async def fallbacks(rig: Rig, people: Logins, count: int = 100) -> list[float]:
    """Seconds from a failed report's arrival to the next sender's POST, each."""
    took: list[float] = []
    client = await Client.connect(rig.url)
    for _ in range(count):
        number = await _started(people)
        first = rig.messages[number]
        path, body, headers = signed(rig, "delivery_failed", first)
        begun = time.perf_counter()
        status, _ = await client.post(path, body, headers)
        assert status == 200, status
        while rig.messages[number] is first:
            await asyncio.sleep(0.002)  # The message bears its time; to spin would take a core.
            assert time.perf_counter() - begun < 5, "no fallback came"
        took.append(rig.at[number] - begun)
        rig.messages.pop(number)
    client.close()
    return took
