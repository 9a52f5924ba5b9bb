"""``countersign up`` as a person runs it: a process of its own, in a folder of its own."""

import atexit
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.harness import PATIENCE, client, free_port


class Up:
    """One data directory, started and ended again and again; ``code``: another release's."""

    def __init__(self, folder: Path, code: Path = Path(__file__).parents[2]) -> None:
        self.folder = folder
        self._code = code
        self.data = folder / ".countersign"
        self.port, self.sandbox_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.env: dict[str, str] = {}

    def start(self, config: Path | None = None) -> None:
        ready = self.data / "dev.env"
        before = ready.stat().st_mtime_ns if ready.exists() else 0
        options = ["--port", str(self.port), "--sandbox-port", str(self.sandbox_port)]
        if config is not None:
            options += ["--config", str(config)]
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "up", *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                process_group=0,
                env={**os.environ, "PYTHONPATH": str(self._code)},
            )
        # Whatever a test that fails leaves behind ends with the tests; its children die with it.
        atexit.register(self.process.kill)
        deadline = time.monotonic() + 2 * PATIENCE
        while not ready.exists() or ready.stat().st_mtime_ns == before:
            assert self.process.poll() is None, (self.folder / "up.log").read_text()
            assert time.monotonic() < deadline, "not ready in time"
            time.sleep(0.02)
        lines = ready.read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE * 2)

    def kill_all(self) -> None:
        """``kill -9`` of the supervisor and of each of its children, by their ids."""
        assert self.process is not None
        pids = [self.process.pid, *self.children().values()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(PATIENCE)

    def children(self) -> dict[str, int]:
        """Name -> pid of the supervisor's children."""
        assert self.process is not None
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = {}
        for child in listed:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            name = next((n for n in ("serve", "sandbox") if n.encode() in words), "valkey")
            found[name] = int(child)
        return found

    def api(self) -> httpx.AsyncClient:
        return client(self.env["COUNTERSIGN_URL"], self.env["COUNTERSIGN_API_KEY"])

    def phone(self) -> httpx.AsyncClient:
        return client(self.env["SANDBOX_URL"])
