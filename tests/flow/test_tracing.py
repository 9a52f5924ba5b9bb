"""Traces, as a collector gets them: a login is one trace over requests and webhooks, and holds no secret."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from litestar import Litestar, Request, Response, post
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from redis.asyncio import Redis

from service import tracing
from tests.harness import World, eventually, free_port, serving, world

FAILS_ONCE = "+12025550100"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(slots=True)
class Collector:
    """What OTLP over HTTP brought."""

    spans: list[Any] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    raw: bytes = b""

    def of(self, id_: str) -> list[Any]:
        trace_id = bytes.fromhex(id_[6:])
        return [span for span in self.spans if span.trace_id == trace_id]


@asynccontextmanager
async def collecting(port: int) -> AsyncIterator[Collector]:
    found = Collector()

    @post("/v1/traces", status_code=200)
    async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        found.raw += body
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            found.resources.append(str(of_resource.resource))
            for scope in of_resource.scope_spans:
                found.spans += scope.spans
        return Response(b"", media_type="application/x-protobuf")

    app = Litestar([take], openapi_config=None, logging_config=None)
    async with serving(app, port):
        yield found


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    yield port
    assert not tracing.is_tracing(), "who stops also ends its tracing"


async def _login(app: World) -> tuple[str, str]:
    answer = await app.api.post(
        "/v1/verifications", json={"to": FAILS_ONCE}, headers={"traceparent": CALLER}
    )
    assert answer.status_code == 201, answer.text
    id_ = str(answer.json()["id"])
    (code,) = await app.codes(FAILS_ONCE)
    assert (await app.verify(id_, code)).json()["approved"]

    async def reported() -> bool:
        return all(d["status"] != "sent" for d in (await app.get(id_))["deliveries"])

    await eventually(reported)
    return id_, code


async def test_a_login_is_one_trace(redis: Redis, valkey: str, endpoint: int) -> None:
    async with collecting(endpoint) as collector:
        async with world(valkey) as app:
            id_, code = await _login(app)
        await asyncio.sleep(0)
    spans = collector.of(id_)
    names = [span.name for span in spans]
    assert {"verification.start", "verification.advance", "verification.verify"} <= set(names)
    assert names.count("telnyx.send") == 2
    assert names.count("webhook.report") >= 2

    (root,) = [span for span in spans if not span.parent_span_id]
    assert root.name == "verification.start"
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    assert all(span.parent_span_id in by_id for span in spans if span is not root)
    assert [link.trace_id.hex() for link in root.links] == [CALLER.split("-")[1]]

    notes = [event for span in spans for event in span.events]
    told = [
        {attribute.key: attribute.value.string_value for attribute in event.attributes}
        for event in notes
    ]
    assert {"decision": "send", "reason": "delivery_failed"} in told
    assert {"outcome": "accepted", "errors": ""} in told
    assert "countersign" in collector.resources[0]
    for secret in (FAILS_ONCE[1:], code, "/webhooks/telnyx", CALLER):
        assert secret.encode() not in collector.raw


async def test_what_fails_is_named_and_not_told(redis: Redis, valkey: str, endpoint: int) -> None:
    async with collecting(endpoint) as collector, world(valkey) as app:
        number = "+12025550101"
        await app.api.put(f"/v1/opt-outs/{number}")
        answer = await app.api.post("/v1/verifications", json={"to": number})
        assert answer.status_code == 403
        await asyncio.to_thread(lambda: None)
    (failed,) = [span for span in collector.spans if span.name == "verification.start"]
    kinds = {a.key: a.value.string_value for a in failed.attributes}
    assert kinds["error.type"] == "RecipientOptedOutError"
    assert not failed.events


async def test_nothing_is_traced_unless_it_is_asked_for(redis: Redis, valkey: str) -> None:
    async with world(valkey) as app:
        await app.start(FAILS_ONCE)
        assert not tracing.is_tracing()


def test_traces_without_their_libraries_are_refused(
    monkeypatch: pytest.MonkeyPatch, endpoint: int
) -> None:
    monkeypatch.setitem(sys.modules, "service.tracing.otel", None)
    with pytest.raises(tracing.TracingSetupError, match=r"pip install 'countersign\[tracing\]'"):
        tracing.begin_tracing()
