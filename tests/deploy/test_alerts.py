"""The alert rules ask for metrics that there are, and tell whoever is on call what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.domain.plan import SenderKind
from service.domain.verification import (
    Accepted,
    DeliveryStatus,
    Fault,
    ProviderError,
    Reason,
    Refused,
    Report,
)
from service.telemetry import Metrics

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yaml"
_NAME = re.compile(r"\bcountersign_[a-z_]+")


def _rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def _samples(metrics: Metrics) -> set[str]:
    """Every name that a scrape can have, also of metrics that nothing was counted in yet."""
    found = set()
    for family in metrics.registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
        found |= {family.name + end for end in ends[family.type]}
    return found


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    names = set(_NAME.findall(rule["expr"]))
    assert names or "up{" in rule["expr"]
    assert names <= _samples(Metrics())
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["action"].endswith(".")
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_errors_of_sends_and_reports_are_counted_by_code() -> None:
    metrics = Metrics()
    errors = (ProviderError("40020", "t"), ProviderError("no code at all", "t"))
    metrics.delivery(SenderKind.LONG_CODE, Reason.INITIAL, Refused(1, Fault.OTHER, errors))
    metrics.delivery(SenderKind.LONG_CODE, Reason.INITIAL, Accepted(1, "m"))
    status = DeliveryStatus.DELIVERY_FAILED
    metrics.reported(Report(event_id="e", status=status, at=1, message_id="m", errors=errors[:1]))
    metrics.delivered(1_500)
    shown = metrics.render().decode()
    assert 'countersign_telnyx_errors_total{code="40020"} 2.0' in shown
    assert 'countersign_telnyx_errors_total{code="other"} 1.0' in shown
    assert "countersign_delivery_seconds_sum 1.5" in shown
