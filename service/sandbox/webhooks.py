"""Webhooks: signed with Ed25519 over ``timestamp | body``, tried three times at each URL, then at the next.

An attempt counts as delivered by any 2xx within the timeout. Each attempt is signed afresh, and
``meta.attempt`` counts them, so a repetition differs in its bytes but not in its event id.
"""

import asyncio
import base64
import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx
from nacl.signing import SigningKey

from service.sandbox.config import SandboxConfig
from service.sandbox.messages import now


def event(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The ``data`` of a webhook."""
    return {
        "id": str(uuid4()),
        "event_type": kind,
        "occurred_at": now(),
        "record_type": "event",
        "payload": payload,
    }


class Courier:
    """Delivers webhooks in tasks of its own; ``resume`` is clear while Telnyx is away."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._key = SigningKey(config.signing_seed)
        self._http = httpx.AsyncClient(timeout=config.webhook_timeout, trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self.resume = asyncio.Event()
        self.resume.set()

    def spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is under way: the state is gone with the process anyway."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def deliver(self, data: dict[str, Any], urls: Sequence[str]) -> bool:
        """Deliver to the first URL that takes it."""
        attempt = 0
        for url in urls:
            for delay in (0.0, *self._config.retry_delays):
                await asyncio.sleep(delay)
                await self.resume.wait()
                attempt += 1
                if await self._post(data, url, attempt):
                    return True
        return False

    async def _post(self, data: dict[str, Any], url: str, attempt: int) -> bool:
        body = json.dumps(
            {"data": data, "meta": {"attempt": attempt, "delivered_to": url}}
        ).encode()
        timestamp = str(int(time.time()))
        signature = self._key.sign(timestamp.encode() + b"|" + body).signature
        headers = {
            "content-type": "application/json",
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
            "telnyx-timestamp": timestamp,
        }
        try:
            response = await self._http.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return response.is_success
