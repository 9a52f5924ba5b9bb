"""The units: what systemd says of them, and their command lines, run as they stand. Their sandboxing needs a
systemd that runs, and is judged from the file only."""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from redis import Redis

from service.app import DRAIN_TIMEOUT
from tests.deploy.production import load, make
from tests.harness import PATIENCE, client, eventually, free_port, make_api_key

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
CONFIG = UNITS.parent / "countersign.toml"
NAMES = ("countersign", "countersign-worker")
MOST_EXPOSED = 1.5
# Ended by the kernel for memory that is made executable after it was written, as under systemd.
_CONFINED = (
    sys.executable,
    "-c",
    (
        "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; "
        "os.execv(sys.argv[1], sys.argv[1:])"
    ),
)

pytestmark = pytest.mark.deploy


def _unit(name: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in (UNITS / f"{name}.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            values.setdefault(key, []).append(value)
    return values


def _environment(unit: dict[str, list[str]]) -> dict[str, str]:
    return dict(value.strip("'").split("=", 1) for value in unit["Environment"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the units and their program, for systemd to look at."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    root = tmp_path_factory.mktemp("root")
    units, program = root / "etc/systemd/system", root / "opt/countersign/bin/countersign"
    for folder in (units, program.parent):
        folder.mkdir(parents=True)
    for target in Path("/usr/lib/systemd/system").glob("*.target"):
        (units / target.name).write_text("[Unit]\nDescription=there\n", encoding="utf-8")
    for unit in UNITS.iterdir():
        shutil.copy(unit, units)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    return root


def _analyze(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_no_fault(root: Path, name: str) -> None:
    assert _analyze("verify", f"--root={root}", f"{name}.service") == (0, "")


def test_systemd_finds_the_fault_that_there_is(root: Path) -> None:
    text = (UNITS / "countersign.service").read_text(encoding="utf-8")
    wrong = root / "etc/systemd/system/wrong.service"
    wrong.write_text(text.replace("ProtectHome=", "ProtectHomes="), encoding="utf-8")
    assert "Unknown key" in _analyze("verify", f"--root={root}", "wrong.service")[1]


@pytest.mark.parametrize("name", NAMES)
def test_little_is_exposed(root: Path, name: str) -> None:
    _, said = _analyze("security", "--offline=true", f"--root={root}", f"{name}.service")
    found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_has_time_for_what_is_in_flight(name: str) -> None:
    (seconds,) = _unit(name)["TimeoutStopSec"]
    assert int(seconds) >= 2 * DRAIN_TIMEOUT


@pytest.mark.parametrize("name", NAMES)
def test_each_variable_is_a_setting(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = _environment(_unit(name))
    if http := env.get("COUNTERSIGN_HTTP"):
        monkeypatch.setenv("COUNTERSIGN_HTTP", http)
    settings = load(CONFIG.read_text(encoding="utf-8"), env, tmp_path)
    assert settings.http.inspection == ("127.0.0.1:9101" if http else "127.0.0.1:9100")


@pytest.fixture
def running(valkey: str, tmp_path: Path) -> Iterator[dict[int, int]]:
    with _both_units(valkey, tmp_path) as ports:
        yield ports


@contextmanager
def _both_units(valkey: str, tmp_path: Path, under: Sequence[str] = ()) -> Iterator[dict[int, int]]:
    """Both units' command lines at once, with their credentials; ports and places are this test's. ``under``:
    what runs them."""
    with Redis.from_url(valkey) as redis:
        redis.flushall()
    ports = {port: free_port() for port in (8000, 8001, 9100, 9101)}
    places = {"/etc/countersign/countersign.toml": str(CONFIG), "%d": str(tmp_path)}
    places["/opt/countersign/bin"] = str(Path(sys.prefix) / "bin")
    for credential in _unit("countersign")["LoadCredential"]:
        name = credential.split(":")[0]
        made = valkey if name == "redis-url" else make(name)
        (tmp_path / name).write_text(made, encoding="utf-8")
    config = tmp_path / "countersign.toml"
    text = CONFIG.read_text(encoding="utf-8").replace("9100", str(ports[9100]))
    config.write_text(text, encoding="utf-8")
    places[str(CONFIG)] = str(config)

    def place(text: str) -> str:
        for theirs, ours in places.items():
            text = text.replace(theirs, ours)
        return re.sub(r"\b(8000|8001|9101)\b", lambda port: str(ports[int(port[1])]), text)

    processes = []
    for name in NAMES:
        unit = _unit(name)
        env = {key: place(value) for key, value in _environment(unit).items()}
        # Nothing may go to Telnyx itself.
        env["COUNTERSIGN_TELNYX_BASE_URL"] = "http://127.0.0.1:9"
        command = [place(word) for word in unit["ExecStart"][0].split()]
        with (tmp_path / f"{name}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [*(word.format(name) for word in under), *_CONFINED, *command],
                    env=env,
                    cwd="/",
                    stdout=log,
                    stderr=log,
                )
            )
    try:
        for port in (8000, 8001):
            _wait(f"http://127.0.0.1:{ports[port]}/readyz", processes, tmp_path)
        yield ports
    finally:
        for process in processes:
            process.terminate()
        ended = [process.wait(2 * DRAIN_TIMEOUT) for process in processes]
    assert ended == [0, 0]


def _wait(url: str, processes: "list[subprocess.Popen[bytes]]", logs: Path) -> None:
    deadline = time.monotonic() + 2 * PATIENCE
    while True:
        said = "\n".join(path.read_text() for path in logs.glob("*.log"))
        assert all(process.poll() is None for process in processes), said
        assert time.monotonic() < deadline, said
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)


def test_both_command_lines_run_side_by_side(running: dict[int, int]) -> None:
    with httpx.Client(trust_env=False) as client:
        for port in (9100, 9101):
            shown = client.get(f"http://127.0.0.1:{running[port]}/metrics").text
            assert "countersign_due_late_seconds" in shown
        started = f"http://127.0.0.1:{running[8000]}/v1/verifications"
        assert client.post(started, json={}).status_code == 401
        # A worker takes no requests.
        started = f"http://127.0.0.1:{running[8001]}/v1/verifications"
        assert client.post(started, json={}).status_code == 404


async def test_the_system_call_filter_lets_them_work(valkey: str, tmp_path: Path) -> None:
    """What a login calls, as strace counts it, is what ``SystemCallFilter`` lets through."""
    strace = shutil.which("strace")
    if strace is None or shutil.which("systemd-analyze") is None:
        pytest.skip("strace or systemd-analyze is not installed")
    allowed = _filtered(_unit("countersign")["SystemCallFilter"])
    assert {"read", "connect"} <= allowed
    assert "mount" not in allowed
    # -D: the service is our child, not strace's.
    under = [strace, "-D", "-f", "-c", "-o", f"{tmp_path}/{{}}.calls"]
    with _both_units(valkey, tmp_path, under) as ports:
        key = await make_api_key(valkey)
        async with client(f"http://127.0.0.1:{ports[8000]}", key) as api:
            started = await api.post("/v1/verifications", json={"to": "+12025550123"})
            assert started.status_code == 201
            path = f"/v1/verifications/{started.json()['id']}/verify"
            assert (await api.post(path, json={"code": "123456"})).status_code == 200
    for name in NAMES:
        calls = await eventually(partial(asyncio.to_thread, _calls, tmp_path / f"{name}.calls"))
        assert {"execve", "epoll_wait"} & calls
        assert calls <= allowed, sorted(calls - allowed)


def _calls(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()[2:-2] if path.exists() else []
    return {line.split()[-1] for line in lines}


def _filtered(lines: list[str]) -> set[str]:
    """The system calls that remain, as systemd reads the lines."""
    allowed: set[str] = set()
    for line in lines:
        named = set().union(*map(_members, line.lstrip("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


def _members(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    said = _analyze("syscall-filter", name)[1].splitlines()[1:]
    words = [line.strip() for line in said if line.strip() and not line.strip().startswith("#")]
    # A few of these every filter of systemd's lets through.
    return set().union(
        *map(_members, [*words, *(["@default"] if name == "@system-service" else [])])
    )
