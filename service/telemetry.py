"""Logs and metrics: every name is defined here. Neither ever carries a number, a code or a text."""

import logging
import sys
from collections.abc import Sequence
from typing import TextIO, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.domain.opt_out import Request
from service.domain.plan import SenderKind
from service.domain.verification import (
    Accepted,
    Outcome,
    ProviderError,
    Reason,
    Report,
    Status,
    Verification,
)

_MOST_CODE = 5
_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


class _StandardError:
    """Whatever standard error is when it is written to: it may be replaced after logging began."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logging(level: str = "INFO") -> None:
    """JSON lines on standard error. Request and response bodies are never logged."""
    # httpx logs each URL at INFO, and a webhook URL's ref is a capability.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


class Metrics:
    """What an on-call person needs, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._starts = Counter(
            "countersign_starts", "Verifications started", ["country", "purpose"], registry=registry
        )
        self._deliveries = Counter(
            "countersign_deliveries",
            "Deliveries by sender kind, reason and Telnyx's answer",
            ["kind", "reason", "outcome"],
            registry=registry,
        )
        self._reports = Counter(
            "countersign_reports", "Delivery reports recorded", ["status"], registry=registry
        )
        self._errors = Counter(
            "countersign_telnyx_errors",
            "Telnyx's errors, of sends and in reports, by their code",
            ["code"],
            registry=registry,
        )
        self._delivery_seconds = Histogram(
            "countersign_delivery_seconds",
            "From Telnyx's acceptance of a message to its delivery, as reported",
            buckets=_SECONDS,
            registry=registry,
        )
        self._sealed = Counter(
            "countersign_audit_sealed", "Audit events added to the hash chains", registry=registry
        )
        self._checkpoint = Gauge(
            "countersign_audit_checkpoint_timestamp_seconds",
            "When the last checkpoint was signed",
            registry=registry,
        )
        self._chain_broken = Gauge(
            "countersign_audit_chain_broken",
            "1 where the audit trail does not go on from what was signed, or has an event of the future",
            registry=registry,
        )
        self._layout = Gauge(
            "countersign_store_layout", "The layout of the data", registry=registry
        )
        self._migration_open = Gauge(
            "countersign_migration_open",
            "1 while the data is not wholly of this release's layout",
            registry=registry,
        )
        self._migrated = Counter(
            "countersign_migrated",
            "What was brought to a newer layout, by step",
            ["step"],
            registry=registry,
        )
        self._closed = Counter(
            "countersign_closed",
            "Verifications that ended",
            ["status", "reason"],
            registry=registry,
        )
        self._attempts = Counter(
            "countersign_attempts", "Codes compared", ["approved"], registry=registry
        )
        self._approval_seconds = Histogram(
            "countersign_approval_seconds",
            "From start to approval",
            buckets=_SECONDS,
            registry=registry,
        )
        self._limited = Counter(
            "countersign_limited", "Requests refused by a limit", ["limit"], registry=registry
        )
        self._unlimited_ip = Counter(
            "countersign_starts_without_client_ip",
            "Starts that the client_ip limit could not count",
            registry=registry,
        )
        self._guard = Counter(
            "countersign_guard",
            "Starts that a rule on countries or number types found",
            ["rule", "action"],
            registry=registry,
        )
        self._lookups = Counter(
            "countersign_lookups", "Number Lookups by outcome", ["outcome"], registry=registry
        )
        self._withheld = Counter(
            "countersign_withheld",
            "Starts that were answered as all others, and send nothing",
            ["reason"],
            registry=registry,
        )
        self._suspected = Counter(
            "countersign_suspected",
            "Messages under a key that is blocked for SMS pumping",
            ["dimension", "action"],
            registry=registry,
        )
        self._suspected_proven = Counter(
            "countersign_suspected_proven",
            "Suspected messages that were sent (record_only), and whose code was proven",
            registry=registry,
        )
        self._breakers = Counter(
            "countersign_breakers",
            "Breakers opened, closed, and messages tried or held at an open one",
            ["change"],
            registry=registry,
        )
        self._orders = Counter(
            "countersign_orders",
            "Starts with learnt orders, stickiness or quarantine, by why their first sender is first",
            ["why"],
            registry=registry,
        )
        self._quarantines = Counter(
            "countersign_quarantines",
            "Senders quarantined in a country, for another time too, or returned",
            ["change"],
            registry=registry,
        )
        self._quarantined = Gauge(
            "countersign_quarantined_senders",
            "Senders tried last in a country because their failures spike",
            registry=registry,
        )
        self._costs_ignored = Counter(
            "countersign_costs_ignored",
            "Costs in another currency, or that are no amount",
            ["reason"],
            registry=registry,
        )
        self._problems = Counter(
            "countersign_problems", "Requests answered by a problem", ["slug"], registry=registry
        )
        self._shed = Counter(
            "countersign_shed",
            "Requests turned away because there was more to do than could be done",
            ["kind"],
            registry=registry,
        )
        self._keys_refused = Counter(
            "countersign_keys_refused", "Requests without a good API key", registry=registry
        )
        self._webhooks_without_effect = Counter(
            "countersign_webhooks_without_effect",
            "Signed webhooks that changed nothing",
            ["reason"],
            registry=registry,
        )
        self._webhooks_refused = Counter(
            "countersign_webhooks_refused", "Webhooks refused", ["reason"], registry=registry
        )
        self._inbound = Counter(
            "countersign_inbound", "Texts that people wrote", ["request"], registry=registry
        )
        self._late = Histogram(
            "countersign_due_late_seconds",
            "How late a worker came to a deadline",
            buckets=(0.1, 0.25, 0.5, 1, 2, 5, 15, 60),
            registry=registry,
        )
        self._overdue = Gauge(
            "countersign_due_oldest_seconds",
            "How long the oldest deadline that has passed waits for a worker",
            registry=registry,
        )
        self.hashing = Gauge(
            "countersign_hash_pool_in_use", "Places of the hash pool in use", registry=registry
        )
        self.hashing_places = Gauge(
            "countersign_hash_pool_places", "Places of the hash pool", registry=registry
        )
        self._add_callbacks(registry)

    def _add_callbacks(self, registry: CollectorRegistry) -> None:
        self._callbacks = Counter(
            "countersign_callbacks",
            "Tries to deliver a callback, by what became of it and the receiver's answer",
            ["outcome", "answer"],
            registry=registry,
        )
        self._callbacks_waiting = Gauge(
            "countersign_callbacks_waiting",
            "Verifications (and others) with callbacks waiting",
            registry=registry,
        )
        self._callbacks_age = Gauge(
            "countersign_callbacks_oldest_seconds",
            "How long the oldest of them waits",
            registry=registry,
        )
        self._callbacks_dead = Gauge(
            "countersign_callbacks_dead", "Dead letters kept", registry=registry
        )
        self._callbacks_lost = Gauge(
            "countersign_callbacks_lost",
            "Callbacks never queued, for want of room",
            registry=registry,
        )

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

    def started(self, v: Verification) -> None:
        if not v.test:
            self._starts.labels(v.country, v.purpose).inc()

    def delivery(self, kind: SenderKind, reason: Reason, outcome: Outcome) -> None:
        self._deliveries.labels(kind, reason, type(outcome).__name__.lower()).inc()
        if not isinstance(outcome, Accepted):
            self._count_errors(outcome.errors)

    def reported(self, report: Report) -> None:
        self._reports.labels(report.status).inc()
        self._count_errors(report.errors)

    def delivered(self, milliseconds: int) -> None:
        """How long a message took, once that is known."""
        self._delivery_seconds.observe(milliseconds / 1000)

    def sealed(self, events: int) -> None:
        self._sealed.inc(events)

    def checkpoint(self, at: int) -> None:
        """``at``: milliseconds."""
        self._checkpoint.set(at / 1000)

    def chain_broken(self, is_so: bool) -> None:
        self._chain_broken.set(is_so)

    def layout(self, layout: int, *, is_open: bool) -> None:
        self._layout.set(layout)
        self._migration_open.set(is_open)

    def migrated(self, step: str, count: int) -> None:
        self._migrated.labels(step).inc(count)

    def _count_errors(self, errors: Sequence[ProviderError]) -> None:
        for error in errors:
            # Telnyx's codes are five digits; whatever else an answer has is one series.
            known = error.code.isascii() and error.code.isdigit() and len(error.code) <= _MOST_CODE
            self._errors.labels(error.code if known else "other").inc()

    def closed(self, status: Status, reason: Reason) -> None:
        self._closed.labels(status, reason).inc()

    def attempt(self, v: Verification, approved: bool, now: int) -> None:
        if v.test:
            return
        self._attempts.labels(str(approved).lower()).inc()
        if approved:
            self.closed(Status.APPROVED, Reason.APPROVED)
            self._approval_seconds.observe((now - v.created_at) / 1000)

    def limited(self, limit: str) -> None:
        self._limited.labels(limit).inc()

    def without_client_ip(self) -> None:
        self._unlimited_ip.inc()

    def guard(self, rule: str, action: str) -> None:
        self._guard.labels(rule, action).inc()

    def lookup(self, outcome: str) -> None:
        self._lookups.labels(outcome).inc()

    def withheld(self, reason: Reason) -> None:
        self._withheld.labels(reason).inc()

    def suspected(self, dimension: str, action: str) -> None:
        self._suspected.labels(dimension, action).inc()

    def suspected_proven(self) -> None:
        self._suspected_proven.inc()

    def breaker(self, change: str) -> None:
        """``opened``, ``closed``, ``tried`` or ``held``."""
        self._breakers.labels(change).inc()

    def ordered(self, why: str) -> None:
        self._orders.labels(why).inc()

    def quarantine(self, change: str) -> None:
        """``quarantined`` or ``returned``."""
        self._quarantines.labels(change).inc()

    def quarantined(self, senders: int) -> None:
        self._quarantined.set(senders)

    def cost_ignored(self, reason: str) -> None:
        self._costs_ignored.labels(reason).inc()

    def problem(self, slug: str) -> None:
        self._problems.labels(slug).inc()

    def shed(self, kind: str) -> None:
        """``start`` or ``finish``."""
        self._shed.labels(kind).inc()

    def key_refused(self) -> None:
        self._keys_refused.inc()

    def webhook_refused(self, reason: str) -> None:
        self._webhooks_refused.labels(reason).inc()

    def webhook_without_effect(self, reason: str) -> None:
        """``repeated``, ``unknown`` (a ref that is none of ours) or ``ignored``."""
        self._webhooks_without_effect.labels(reason).inc()

    def inbound(self, request: Request | None) -> None:
        self._inbound.labels(request or "none").inc()

    def late(self, milliseconds: int) -> None:
        self._late.observe(milliseconds / 1000)

    def overdue(self, milliseconds: int) -> None:
        """Of the oldest deadline that has passed; 0: none has."""
        self._overdue.set(milliseconds / 1000)

    def callback(self, outcome: str, answer: str) -> None:
        # A receiver chooses its status: a series for each would be its to make.
        kind = f"{answer[0]}xx" if answer.isdigit() else answer
        self._callbacks.labels(outcome, kind).inc()

    def backlog(self, waiting: int, age: int, dead: int, lost: int) -> None:
        """``age`` in milliseconds."""
        self._callbacks_waiting.set(waiting)
        self._callbacks_age.set(age / 1000)
        self._callbacks_dead.set(dead)
        self._callbacks_lost.set(lost)
