"""The dashboard asks for metrics and labels that there are, and shows what alerts are raised on."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.telemetry import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
_NAME = re.compile(r"\bcountersign_[a-z_]+")
_BY = re.compile(r"\bby \(([^)]*)\)")
_SCRAPE = {"instance", "job", "le"}


def _labels() -> dict[str, set[str]]:
    """Each sample's name, and what it can be grouped by."""
    found = {}
    ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    for collector in list(Metrics().registry._collector_to_names):
        for family in collector.collect():
            for end in ends[family.type]:
                found[family.name + end] = {*getattr(collector, "_labelnames", ()), *_SCRAPE}
    return found


LABELS = _labels()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    for target in panel["targets"]:
        expression, legend = target["expr"], target["legendFormat"]
        names = _NAME.findall(expression)
        assert names or "up{" in expression
        assert set(names) <= set(LABELS), expression
        grouped = {label.strip() for by in _BY.findall(expression) for label in by.split(",")}
        shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
        known = set.intersection(*(LABELS[name] for name in names)) if names else _SCRAPE
        assert grouped | shown <= known, expression
        assert shown <= grouped or not grouped, legend
        assert expression.count('job=~"$job"') == max(len(names), 1)
        assert expression.count("(") == expression.count(")")


def test_what_alerts_are_raised_on_is_shown() -> None:
    rules = (DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")
    (group,) = yaml.safe_load(rules)["groups"]
    raised = {name for rule in group["rules"] for name in _NAME.findall(rule["expr"])}
    shown = {
        name for p in PANELS for target in p["targets"] for name in _NAME.findall(target["expr"])
    }
    assert raised <= shown


def test_panels_lie_side_by_side() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
