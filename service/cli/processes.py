"""``countersign serve --processes``: several processes behind one listening socket.

They share the socket itself, not only its port: what is waiting to be accepted when one of them ends is
accepted by the others. They know nothing of each other; workers share the deadlines by leases.
"""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from service.cli.children import Restarts, end, spawn

_WATCH = 0.1
_STOP_TIMEOUT = 40.0
"""More than a process takes for its last answers and the work in flight."""
_BACKLOG = 4096
_REFUSES_WITHIN = 5.0
"""Seconds in which a process that cannot use its configuration, or the store, says so and ends."""

log = structlog.get_logger(__name__)


class ProcessesError(Exception):
    """They cannot be kept running; the message says why."""


def run_processes(count: int, role: str, host: str, port: int, config: Path | None) -> None:
    """Run until SIGTERM or SIGINT; one that ends by itself is started again.

    Raises:
        OSError: the address cannot be listened on.
        ProcessesError: one ends again and again.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    listener = listen(host, port)
    options = ["--role", role, "--host", host, "--port", str(port)]
    options += ["--config", str(config)] if config is not None else []
    processes: list[_Process] = []
    try:
        for index in range(count):
            # One by one: what has started must be ended even if the next does not start.
            processes.append(_Process(index, options, listener))  # noqa: PERF401
        while not stopping.wait(_WATCH):
            for process in processes:
                process.restart_if_ended()
    finally:
        _end_all([process.child for process in processes])
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that others may inherit. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.set_inheritable(True)
    return listener


class _Process:
    def __init__(self, index: int, options: Sequence[str], listener: socket.socket) -> None:
        self._options = [*options, "--inherited", str(listener.fileno()), "--index", str(index)]
        self._listener = listener.fileno()
        self._restarts = Restarts(window=60.0)
        self.child = self._start()

    def restart_if_ended(self) -> None:
        status = self.child.poll()
        if status is None:
            return
        refused = status == 1 and time.monotonic() - self._started < _REFUSES_WITHIN
        if refused or self._restarts.too_many():
            raise ProcessesError(f"a process does not start (status {status}); it says above why")
        log.warning("process.ended", pid=self.child.pid, status=status)
        self.child = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._started = time.monotonic()
        argv = [sys.executable, "-m", "service", "serve", *self._options]
        return spawn(argv, pass_fds=[self._listener])


def _end_all(children: "Sequence[subprocess.Popen[bytes]]") -> None:
    """All at once: each needs time for its last answers."""
    for child in children:
        child.terminate()
    for child in children:
        end(child, _STOP_TIMEOUT)
