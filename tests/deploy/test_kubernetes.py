"""The manifests against the schemas of Kubernetes, and the chart against the manifests."""

import json
import re
import subprocess
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.app import DRAIN_TIMEOUT
from service.settings import Settings
from tests.deploy.production import load

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "countersign"
OLDEST, NEWEST = "1.30", "1.37"

pytestmark = pytest.mark.deploy
Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def kustomized(tools: Path) -> Objects:
    """What ``kubectl kustomize`` makes, by kind and name."""
    done = subprocess.run(
        [tools / "kubectl", "kustomize", DEPLOY / "kubernetes"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return _by_name(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def charted() -> Objects:
    return _render({})


def _render(values: dict[str, Any]) -> Objects:
    """What ``helm template countersign`` makes: Helm 4's own engine, in this process."""
    from helm_python.chart import Chart

    with Chart.load(CHART) as chart:
        chart.validate_schema(values)
        found = chart.render(values=values, name="countersign", namespace="countersign")
    return _by_name(doc for text in found.values() for doc in yaml.safe_load_all(text))


def _by_name(documents: Any) -> Objects:
    # Kustomize ends a ConfigMap's name in a hash of what is in it.
    return {
        (d["kind"], re.sub(r"-[0-9a-z]{10}$", "", d["metadata"]["name"])): d for d in documents if d
    }


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("made", ["kustomized", "charted"])
def test_every_object_is_one_of_kubernetes(
    made: str, version: str, request: pytest.FixtureRequest
) -> None:
    import kubernetes_validate

    for found in request.getfixturevalue(made).values():
        kubernetes_validate.validate(found, version, strict=True)


def test_the_schemas_refuse_what_is_wrong(kustomized: Objects) -> None:
    import kubernetes_validate

    wrong = deepcopy(kustomized["Deployment", "countersign-api"])
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnlyRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRoot"):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_the_chart_makes_what_kustomize_makes(kustomized: Objects, charted: Objects) -> None:
    assert {name: _bare(found) for name, found in charted.items()} == {
        name: _bare(found) for name, found in kustomized.items()
    }


def _bare(found: dict[str, Any]) -> dict[str, Any]:
    """Without what each tool adds: its labels, the hash in a name, the namespace."""
    bare = deepcopy(found)
    del bare["metadata"]
    text = json.dumps(bare, sort_keys=True)
    for volume in bare.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", ()):
        if name := volume.get("configMap", {}).get("name"):
            text = text.replace(name, "countersign")
    bare = json.loads(text)
    bare.get("spec", {}).get("template", {}).get("metadata", {}).pop("annotations", None)
    return dict(bare)


@pytest.mark.parametrize(
    "values",
    [
        {"api": {"maxReplica": 3}},
        {"networkPolicy": {"redisPort": "6379"}},
        {"secret": "countersign"},
    ],
)
def test_the_chart_refuses_values_that_it_does_not_know(values: dict[str, Any]) -> None:
    from helm_python.errors import HelmError

    with pytest.raises(HelmError):
        _render(values)


def test_values_reach_the_objects() -> None:
    made = _render(
        {
            "image": {"repository": "registry.example/countersign", "tag": "7"},
            "networkPolicy": {"enabled": False},
            "worker": {"replicas": 5},
        }
    )
    worker = made["Deployment", "countersign-worker"]["spec"]
    assert worker["replicas"] == 5
    assert worker["template"]["spec"]["containers"][0]["image"] == "registry.example/countersign:7"
    assert not [kind for kind, _ in made if kind == "NetworkPolicy"]


def test_the_pods_start_with_settings_that_there_are(kustomized: Objects, tmp_path: Path) -> None:
    """The mounted file and every variable, read by the service's own code."""
    (config,) = (found for (kind, _), found in kustomized.items() if kind == "ConfigMap")
    for role in ("api", "worker"):
        pod = kustomized["Deployment", f"countersign-{role}"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        env = {entry["name"]: entry["value"] for entry in container["env"]}
        settings = load(config["data"]["countersign.toml"], env, tmp_path)
        assert settings.hash.threads == 2
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert settings.http.inspection == f"0.0.0.0:{ports['inspection']}"
        assert container["args"][-2:] == ["--port", str(ports["http"])]


def test_a_pod_has_time_for_what_is_in_flight(kustomized: Objects) -> None:
    pod = kustomized["Deployment", "countersign-api"]["spec"]["template"]["spec"]
    sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= sleep + 2 * DRAIN_TIMEOUT


def test_selectors_choose_the_pods_of_their_role(kustomized: Objects) -> None:
    for role in ("api", "worker"):
        deployment = kustomized["Deployment", f"countersign-{role}"]["spec"]
        labels = deployment["template"]["metadata"]["labels"].items()
        budget = kustomized["PodDisruptionBudget", f"countersign-{role}"]["spec"]["selector"]
        assert labels >= budget["matchLabels"].items()
        assert labels >= deployment["selector"]["matchLabels"].items()
        policy = kustomized["NetworkPolicy", "countersign"]["spec"]["podSelector"]["matchLabels"]
        assert labels >= policy.items()
    other = kustomized["Deployment", "countersign-worker"]["spec"]["template"]["metadata"]["labels"]
    service = kustomized["Service", "countersign-api"]["spec"]["selector"]
    assert not other.items() >= service.items()


def test_every_file_of_the_folder_is_used() -> None:
    folder = DEPLOY / "kubernetes"
    made = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    used = {*made["resources"], *made["configMapGenerator"][0]["files"], "kustomization.yaml"}
    assert used == {path.name for path in folder.iterdir()}


def test_values_hold_the_same_configuration() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    theirs = (DEPLOY / "kubernetes" / "countersign.toml").read_text(encoding="utf-8")
    assert tomllib.loads(values["config"]) == tomllib.loads(theirs)
    assert set(tomllib.loads(theirs)) <= set(Settings.model_fields)
