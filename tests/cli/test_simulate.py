"""``countersign simulate``: the same answer for the same seed, in tables, as JSON and as a chart."""

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app
from tests.harness import UP_TOML

FEW = ("--people", "60")


def _call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["simulate", *words], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The model that is shipped, for three hours."""
    shipped = (resources.files("service.simulation") / "model.toml").read_text()
    path = tmp_path / "model.toml"
    path.write_text(shipped.replace("hours = 24 ", "hours = 3 "))
    return str(path)


@pytest.fixture
def adaptive(tmp_path: Path) -> str:
    path = tmp_path / "adaptive.toml"
    path.write_text("adaptive = true\n" + UP_TOML.read_text())
    return str(path)


def test_a_seed_gives_the_same_bytes_in_another_process(adaptive: str, model: str) -> None:
    words = ("--config", adaptive, "--model", model, *FEW, "--json", "--seed", "7")
    command = [sys.executable, "-m", "service", "simulate", *words]
    environ = {**os.environ, "PYTHONHASHSEED": "77"}
    again = subprocess.run(command, env=environ, capture_output=True, check=True, text=True)
    here = _call(*words).stdout
    assert here == again.stdout
    assert here != _call(*words[:-1], "8").stdout


def test_adaptive_is_shown_against_its_fixed_order(
    adaptive: str, model: str, tmp_path: Path
) -> None:
    chart = tmp_path / "chart.svg"
    words = ("--config", adaptive, "--model", model, *FEW, "--json", "--svg", str(chart))
    found = json.loads(_call(*words).stdout)
    assert [run["name"] for run in found["runs"]] == ["fixed order", "adaptive"]
    assert set(found["runs"][0]["first"]) == {"configured"}
    assert "sticky" in found["runs"][1]["first"]
    assert found["logins"] == 120
    change = found["differences"]["cost per approval"]
    assert change["low"] <= change["value"] <= change["high"]
    assert set(found["differences_by_country"]) == set(found["runs"][0]["countries"])
    assert chart.read_text().count("<polyline") == 2


def test_the_tables_name_every_figure(tmp_path: Path) -> None:
    shown = _call(*FEW).stdout
    for title in ("approved within 60 s", "cost per approval", "By country", "Fallbacks by reason"):
        assert title in shown
    assert "assumptions" in shown
    other = tmp_path / "alone.toml"
    other.write_text(UP_TOML.read_text().replace('["short", "long", "pool"]', '["long"]'))
    compared = _call(*FEW, "--compare", str(other)).stdout
    assert "alone.toml" in compared
    assert "with 95 % confidence" in compared


def test_what_was_counted_takes_the_place_of_assumptions(model: str, tmp_path: Path) -> None:
    row = {"country": "SE", "sender": "brand", "sent": 900, "rejected": 100, "proven": 423}
    row |= {"delivered": 700, "failed": 100, "unconfirmed": 50, "delivered_unproven": 300}
    row |= {"failed_proven": 5, "cost": [{"amount": "45.0", "currency": "USD"}]}
    row |= {"seconds_to_delivery": {"p50": 4.0, "p95": 20.0}}
    stats = tmp_path / "stats.json"
    stats.write_text(json.dumps({"window": "7d", "rows": [row]}))
    words = ("--model", model, "--stats", str(stats), "--people", "300")
    found = json.loads(_call(*words, "--json").stdout)
    (sweden,) = found["runs"][0]["countries"]
    assert sweden == "SE"
    for bad in ("{}", "[]", '{"rows": [{"country": "SE"}]}', "no JSON"):
        stats.write_text(bad)
        assert "/v1/stats/deliveries" in _call(*words, code=1).stderr
    stats.write_text('{"rows": []}')
    assert "longer window" in _call(*words, code=1).stderr


def test_faults_of_the_files_are_named(tmp_path: Path) -> None:
    model = tmp_path / "model.toml"
    model.write_text("[people]\nlogins = 0\n")
    said = _call(*FEW, "--model", str(model), code=1).stderr
    assert "people.logins" in said
    assert "countries" in said
    config = tmp_path / "c.toml"
    config.write_text("[codes]\nlength = 99\n")
    assert "codes.length" in _call(*FEW, "--config", str(config), code=1).stderr
    assert "cannot be read" in _call(*FEW, "--compare", "nowhere.toml", code=1).stderr
