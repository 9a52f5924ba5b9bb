"""Webhooks: signed with Ed25519 over ``timestamp | body``, tried three times at each URL, then at the next.

An attempt counts as delivered by any 2xx within the timeout. Each attempt is signed afresh, and
``meta.attempt`` counts them, so a repetition differs in its bytes but not in its event id.
"""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Coroutine, Sequence
from functools import cache
from typing import Any
from uuid import uuid4

import httpx
from nacl.signing import SigningKey

from service.sandbox.config import SandboxConfig
from service.sandbox.messages import now
from service.sandbox.outage import Outage

# Plenty for receivers that answer at once; with more, the pool itself (it looks at every connection
# for each request) and the backlog of a small server become the limit.
_CONNECTIONS = 32


def event(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The ``data`` of a webhook."""
    return {
        "id": str(uuid4()),
        "event_type": kind,
        "occurred_at": now(),
        "record_type": "event",
        "payload": payload,
    }


@cache
def _authorities() -> ssl.SSLContext:
    """Read once: it takes longer than all the rest of a sandbox."""
    return httpx.create_ssl_context(trust_env=False)


class Courier:
    """Delivers webhooks in tasks of its own; they wait while Telnyx is down."""

    def __init__(self, config: SandboxConfig, outage: Outage) -> None:
        self._config = config
        self._outage = outage
        self._key = SigningKey(config.signing_seed)
        self._http = httpx.AsyncClient(
            timeout=None,  # noqa: S113 - Telnyx's limit is on the attempt as a whole: see _post
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
            ),
            trust_env=False,
            verify=_authorities(),
        )
        # Waiting for a connection must not count as the receiver's time.
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_closing = False

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is under way: the state is gone with the process anyway."""
        self._is_closing = True
        # A request begins by closing connections that its receiver has left, one in each turn of the loop.
        # Cancelled amid that it would leave the others open.
        for _ in range(_CONNECTIONS + 1):
            await asyncio.sleep(0)
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    async def deliver(self, data: dict[str, Any], urls: Sequence[str]) -> bool:
        """Deliver to the first URL that takes it; ``False`` if none does."""
        attempt = 0
        for url in urls:
            for delay in (0.0, *self._config.retry_delays):
                await asyncio.sleep(delay)
                await self._outage.wait_until_up()
                attempt += 1
                async with self._free:
                    if await self._post(data, url, attempt):
                        return True
        return False

    async def _post(self, data: dict[str, Any], url: str, attempt: int) -> bool:
        if self._is_closing:
            return False
        body = json.dumps(
            {"data": data, "meta": {"attempt": attempt, "delivered_to": url}}
        ).encode()
        try:
            async with asyncio.timeout(self._config.webhook_timeout):
                response = await self._http.post(url, content=body, headers=self._sign(body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, OverflowError):
            # A URL may be well formed and still impossible (a port of 99999, a bad IDNA label).
            return False
        return response.is_success

    def _sign(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signature = self._key.sign(timestamp.encode() + b"|" + body).signature
        return {
            "content-type": "application/json",
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
            "telnyx-timestamp": timestamp,
        }
