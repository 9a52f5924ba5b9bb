"""Metrics of messaging profiles and numbers, counted from the messages that there are. Their form is
free in Telnyx's schema; the names are those of its older client libraries."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from service.sandbox.inbound import Inbound
from service.sandbox.messages import Message
from service.sandbox.scenarios import Kind

TIME_FRAMES = {
    "1h": timedelta(hours=1),
    "3h": timedelta(hours=3),
    "24h": timedelta(hours=24),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_HOURLY_UP_TO = timedelta(hours=24)


@dataclass(slots=True)
class Tally:
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    received: int = 0

    def count(self, entry: Message | Inbound) -> None:
        if isinstance(entry, Inbound):
            self.received += 1
        elif entry.status not in {"scheduled", "cancelled"}:
            self.sent += 1
            self.delivered += entry.status == "delivered"
            self.failed += entry.is_failed

    @property
    def error_ratio(self) -> float:
        return round(self.failed / self.sent, 4) if self.sent else 0.0

    def health(self) -> dict[str, Any]:
        """``NumberHealthMetrics``."""
        return {
            "message_count": self.sent + self.received,
            "inbound_outbound_ratio": round(self.received / self.sent, 4) if self.sent else 0.0,
            "success_ratio": round(self.delivered / self.sent, 4) if self.sent else 1.0,
            "spam_ratio": 0.0,
        }


def recent(entries: Iterable[Message | Inbound], frame: str) -> list[Message | Inbound]:
    since = (datetime.now(UTC) - TIME_FRAMES[frame]).isoformat(timespec="milliseconds")
    # All times are in UTC and of one form, so that they compare as text.
    return [entry for entry in entries if entry.created_at >= since]


def profile_of(entry: Message | Inbound) -> str | None:
    if isinstance(entry, Inbound):
        return entry.messaging_profile_id
    return entry.request.messaging_profile_id


def overview(profile: str, numbers: int, entries: Iterable[Message | Inbound]) -> dict[str, Any]:
    """One profile's ``ProfileMetricsHighLevel``, of its own ``entries``."""
    tally = Tally()
    for entry in entries:
        tally.count(entry)
    return {
        "record_type": "messaging_profile_metrics",
        "messaging_profile_id": profile,
        "phone_numbers": numbers,
        "outbound": {
            "sent": tally.sent,
            "delivered": tally.delivered,
            "error_ratio": tally.error_ratio,
        },
        "inbound": {"received": tally.received},
    }


def detailed(entries: Iterable[Message | Inbound], frame: str) -> list[dict[str, Any]]:
    """By hour (up to a day) or day in UTC, and by type of sender."""
    cut = 13 if TIME_FRAMES[frame] <= _HOURLY_UP_TO else 10
    times: dict[str, dict[str, Tally]] = {}
    for entry in entries:
        labels = times.setdefault(entry.created_at[:cut], {})
        labels.setdefault(_label(entry), Tally()).count(entry)
    rest = ":00:00+00:00" if cut == 13 else "T00:00:00+00:00"
    return [
        {
            "timestamp": at + rest,
            "metrics": [_metric(label, t) for label, t in sorted(found.items())],
        }
        for at, found in sorted(times.items())
    ]


def _label(entry: Message | Inbound) -> str:
    if isinstance(entry, Inbound):
        return Kind.LONG_CODE if entry.to.startswith("+") else Kind.SHORT_CODE
    return entry.request.kind


def _metric(label: str, tally: Tally) -> dict[str, Any]:
    return {
        "label": label,
        "sent": tally.sent,
        "delivered": tally.delivered,
        "outbound_error_ratio": tally.error_ratio,
        "received": tally.received,
    }
