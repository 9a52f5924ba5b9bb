"""OpenTelemetry traces: every span's name is defined here.

A verification's trace id is the random part of its own id, so its start, every advance in whatever
process, and a webhook hours later are one trace, and nothing is stored or passed on for it. The caller's
own trace is linked. Spans carry names, reasons and codes of errors; never a number, a code, a text or a
webhook's address.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT) is set; the OpenTelemetry SDK reads that and
all its other variables itself.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from service.tracing.otel import Spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()

Value = str | int | float | bool
Note = Callable[[str, Mapping[str, Value]], None]
"""Adds an event to a span."""


class Name(StrEnum):
    """All spans. Those of one verification hang below its start."""

    START = "verification.start"
    RESEND = "verification.resend"
    VERIFY = "verification.verify"
    ADVANCE = "verification.advance"
    SEND = "telnyx.send"
    REPORT = "webhook.report"


class TracingSetupError(Exception):
    """Traces are asked for and cannot be made; the message says what to do."""


class _Tracing:
    """What this process traces with, if it does."""

    spans: "Spans | None" = None


def begin_tracing() -> Callable[[], None]:
    """Trace from now on, if the environment asks for it; gives what ends it, which waits until all is
    exported (so not for the event loop's thread).

    Raises:
        TracingSetupError: the libraries are not installed.
    """
    if is_tracing() or not any(os.environ.get(name) for name in _ENDPOINTS):
        return lambda: None
    try:
        # An extra, and slow to load.
        from service.tracing.otel import Spans  # noqa: PLC0415
    except ImportError as error:
        raise TracingSetupError(
            f"{' or '.join(_ENDPOINTS)} is set, but the OpenTelemetry SDK is not installed: "
            "pip install 'countersign[tracing]', or unset it"
        ) from error
    spans = _Tracing.spans = Spans()

    def end() -> None:
        _Tracing.spans = None
        spans.end()

    return end


def is_tracing() -> bool:
    """Whether spans are made at all."""
    return _Tracing.spans is not None


def called_by(traceparent: str | None) -> None:
    """The caller's trace (W3C Trace Context), for the spans of this request."""
    if _Tracing.spans is not None:
        _Tracing.spans.called_by(traceparent)


def span(name: Name, id_: str, **attributes: Value) -> AbstractContextManager[Note | None]:
    """A span of a verification. It gives what adds events to it; ``None`` where nothing is traced."""
    if _Tracing.spans is None:
        return _NOTHING
    return _Tracing.spans.span(name, id_, attributes)
