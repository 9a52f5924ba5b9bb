"""A sandbox over real HTTP, and somebody who takes its webhooks."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, post
from nacl.signing import VerifyKey
from telnyx import AsyncTelnyx

from service.sandbox.config import SandboxConfig
from service.sandbox.messages import Messages
from tests import applications
from tests import telnyx_contract as contract
from tests.harness import NO_TLS, client, eventually, free_port, serving

API_KEY = "KEY0123456789"
PROFILE = "00000000-0000-4000-8000-000000000001"
LONG, SHORT, BRAND = "+18445550001", "12345", "Acme"


@dataclass(slots=True)
class Receiver:
    """Takes webhooks and checks each signature; a path listed in ``answers`` gives that status,
    and ``slow`` paths take longer than Telnyx waits."""

    url: str
    key: VerifyKey
    answers: dict[str, list[int]] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    timestamps: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    raw: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def take(self, path: str, body: bytes, headers: Any) -> int:
        timestamp = headers["telnyx-timestamp"]
        signature = base64.b64decode(headers["telnyx-signature-ed25519"], validate=True)
        self.key.verify(timestamp.encode() + b"|" + body, signature)
        self.timestamps.append(timestamp)
        self.seen.append((path, json.loads(body)))
        self.raw.append((body.decode(), dict(headers.items())))
        if contract.VARIABLE in os.environ:
            self.faults += contract.faults(contract.validate_webhook, json.loads(body))
        if path in self.slow:
            await asyncio.sleep(0.5)
        return self.answers[path].pop(0) if self.answers.get(path) else 200

    async def of(self, message_id: str, count: int) -> list[dict[str, Any]]:
        """The webhooks about a message, once there are ``count`` of them."""

        async def found() -> list[dict[str, Any]]:
            events = [
                b for _, b in self.seen if b["data"].get("payload", {}).get("id") == message_id
            ]
            return events if len(events) >= count else []

        return await eventually(found, 5)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """``api`` has Telnyx's key; ``phone`` is whoever uses the control calls."""

    app: Litestar
    api: httpx.AsyncClient
    phone: httpx.AsyncClient
    hooks: Receiver

    async def post(self, to: str, kind: str = "long_code", **fields: Any) -> httpx.Response:
        senders: dict[str, dict[str, str]] = {
            "long_code": {"from": LONG},
            "short_code": {"from": SHORT},
            "alphanumeric_sender_id": {"from": BRAND, "messaging_profile_id": PROFILE},
            "number_pool": {"messaging_profile_id": PROFILE},
            "schedule": {"from": LONG},
        }
        hook = {"webhook_url": f"{self.hooks.url}/message"}
        body = {"to": to, "text": "123456 is your code", **hook, **senders[kind], **fields}
        return await self.api.post(f"/v2/messages/{kind}", json=body)

    async def send(self, to: str, kind: str = "long_code", **fields: Any) -> str:
        """Send a message that is accepted; gives its id."""
        answer = await self.post(to, kind, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["id"])

    async def listed(self, **query: str) -> list[dict[str, Any]]:
        answer = await self.phone.get("/sandbox/messages", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["messages"])

    async def status(self, message_id: str) -> str:
        answer = await self.api.get(f"/v2/messages/{message_id}")
        return str(answer.json()["data"]["to"][0]["status"])

    async def until(self, to: str, check: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The last message to a number, once ``check`` is true of it."""

        async def found() -> dict[str, Any]:
            messages = await self.listed(to=to)
            return messages[-1] if messages and check(messages[-1]) else {}

        return await eventually(found, 5)

    async def set(self, outcome: str, **where: str) -> None:
        answer = await self.phone.post("/sandbox/scenarios", json={"outcome": outcome, **where})
        assert answer.status_code == 200, answer.text

    async def write(self, from_: str, text: str, **fields: str) -> str:
        body = {"from": from_, "text": text, **fields}
        answer = await self.phone.post("/sandbox/inbound", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


@asynccontextmanager
async def running(*, profile_webhooks: bool = True, **changes: Any) -> AsyncIterator[Sandbox]:
    """A sandbox with quick reports, its profile's webhook URL at ``/profile`` of the receiver."""
    port, hooks_port = free_port(), free_port()
    hooks_url = f"http://127.0.0.1:{hooks_port}"
    profile = f"{hooks_url}/profile" if profile_webhooks else None
    quick: dict[str, Any] = {"report_delay": 0.01, "retry_delays": (0.01, 0.02)}
    config = SandboxConfig(
        api_key=API_KEY,
        signing_seed=bytes(range(32)),
        profile_webhook_url=profile,
        **{**quick, **changes},
    )
    hooks = Receiver(hooks_url, VerifyKey(base64.b64decode(config.public_key)))
    url = f"http://127.0.0.1:{port}"
    app = applications.sandbox(config)
    async with (
        serving(_receiving(hooks), hooks_port),
        serving(app, port),
        client(url, API_KEY) as api,
        client(url) as phone,
    ):
        if contract.VARIABLE in os.environ:
            api.event_hooks["response"].append(_judge)
        yield Sandbox(app, api, phone, hooks)
    # In a webhook's receiver nobody would see an exception.
    assert hooks.faults == []


async def _judge(answer: httpx.Response) -> None:
    """Whatever a test asks for, the answer must be one that Telnyx's document knows."""
    method, path = answer.request.method, answer.request.url.raw_path.decode()
    if contract.knows(method, path):
        body = json.loads(await answer.aread())
        contract.validate_response(method, path, answer.status_code, body)


@asynccontextmanager
async def sdk_of(sandbox: Sandbox) -> AsyncIterator[AsyncTelnyx]:
    """Telnyx's SDK, which takes the sandbox for Telnyx; its answers are judged too."""
    http = httpx.AsyncClient(verify=NO_TLS, event_hooks=sandbox.api.event_hooks)
    url = str(sandbox.api.base_url).rstrip("/") + "/v2"
    async with AsyncTelnyx(api_key=API_KEY, base_url=url, max_retries=0, http_client=http) as found:
        yield found


def _receiving(hooks: Receiver) -> Litestar:
    @post(["/message", "/failover", "/profile"])
    async def take(request: Request[Any, Any, Any]) -> Response[None]:
        status = await hooks.take(request.url.path, await request.body(), request.headers)
        return Response(None, status_code=status)

    return Litestar([take], openapi_config=None, logging_config=None)


@pytest.fixture(scope="session")
async def _used() -> AsyncIterator[Sandbox]:
    async with running() as found:
        yield found


@pytest.fixture
def shared(_used: Sandbox) -> Sandbox:
    """A sandbox that other tests have used too, without their messages: it saves a test that is only
    about requests and answers from starting servers."""
    _used.app.state.network.messages = Messages()
    return _used


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as found:
        yield found
