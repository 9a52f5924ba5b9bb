"""Spans by the OpenTelemetry SDK, exported as OTLP over HTTP by a thread of its own."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.tracing import Name, Note, Value

_KINDS = {
    Name.START: trace.SpanKind.SERVER,
    Name.RESEND: trace.SpanKind.SERVER,
    Name.VERIFY: trace.SpanKind.SERVER,
    Name.REPORT: trace.SpanKind.SERVER,
    Name.SEND: trace.SpanKind.CLIENT,
}
_caller: ContextVar[str | None] = ContextVar("traceparent of the request", default=None)
_root: ContextVar[tuple[int, int] | None] = ContextVar("ids of the root span", default=None)


class _Ids(RandomIdGenerator):
    """Random ids, but for a root span."""

    def generate_trace_id(self) -> int:
        ids = _root.get()
        return ids[0] if ids is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        ids = _root.get()
        return ids[1] if ids is not None else super().generate_span_id()


class Spans:
    """Makes them, and has them exported."""

    def __init__(self) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", "countersign")
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": name}), id_generator=_Ids()
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("countersign")

    def end(self) -> None:
        """Export what is left."""
        self._provider.shutdown()

    def called_by(self, traceparent: str | None) -> None:
        _caller.set(traceparent)

    @contextmanager
    def span(self, name: Name, id_: str, attributes: Mapping[str, Value]) -> Iterator[Note]:
        ids = int(id_[6:], 16), int(id_[6:22], 16)
        reset = _root.set(ids if name is Name.START else None)
        made = self._tracer.start_span(
            name,
            _parent(name, ids),
            _KINDS.get(name, trace.SpanKind.INTERNAL),
            {"countersign.verification": id_, **attributes},
            links=_links(name),
        )
        _root.reset(reset)
        # What is raised may name what was sent in: its kind is enough.
        with trace.use_span(
            made, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                yield made.add_event
            except Exception as error:
                made.set_attribute("error.type", type(error).__name__)
                raise


def _parent(name: Name, ids: tuple[int, int]) -> Context | None:
    """The verification's own span that is open here, or else its start, wherever that was."""
    if name is Name.START:
        return trace.set_span_in_context(trace.INVALID_SPAN)
    if trace.get_current_span().get_span_context().trace_id == ids[0]:
        return None
    start = trace.SpanContext(*ids, is_remote=True, trace_flags=trace.TraceFlags(1))
    return trace.set_span_in_context(trace.NonRecordingSpan(start))


def _links(name: Name) -> list[trace.Link]:
    traceparent = _caller.get()
    if traceparent is None or _KINDS.get(name) is not trace.SpanKind.SERVER:
        return []
    context = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    found = trace.get_current_span(context).get_span_context()
    return [trace.Link(found)] if found.is_valid else []
