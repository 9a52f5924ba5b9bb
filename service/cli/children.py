"""Child processes that do not outlive this one, however it ends.

On Linux the kernel itself signals the child when its parent dies. Elsewhere only an ordinary exit
of this process ends the children: there is no such signal, and after a ``kill -9`` they stay.
"""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start a program in its own process group, so that Ctrl-C reaches only us and the children
    end in our order.

    ``env`` replaces the environment, ``None`` hands ours on. Output is appended to ``log``, or goes
    where ours goes. Whatever the child creates is readable by this user alone.

    Raises:
        OSError: the program or the log cannot be opened.
        RuntimeError: called outside the main thread. The death signal follows the thread that
            forked, so the child would die with that thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children must be started from the main thread")
    output = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            umask=0o077,
            process_group=0,
            pass_fds=pass_fds,
            preexec_fn=_die_with_parent(death_signal),  # noqa: PLW1509 - it takes no lock
        )
    finally:
        if output is not None:
            os.close(output)
    if sys.platform != "linux":
        atexit.register(child.send_signal, death_signal)
    return child


class Restarts:
    """Counts the ends of a child: one that ends again and again is not worth another start."""

    def __init__(self, most: int = 5, window: float = 10.0) -> None:
        self._most = most
        self._window = window
        self._ends: list[float] = []

    def too_many(self) -> bool:
        """Count one more; whether that is more than ``most`` within ``window`` seconds."""
        now = time.monotonic()
        self._ends = [at for at in self._ends if now - at < self._window] + [now]
        return len(self._ends) > self._most


def end(child: "subprocess.Popen[bytes]", timeout: float) -> int:
    """Ask the child to end, make it end after ``timeout`` seconds; gives its exit status."""
    child.terminate()
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform == "linux":
        # Looked up here: between fork and exec nothing may take a lock, and loading a library does.
        prctl = ctypes.CDLL(None).prctl
        prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
        parent = os.getpid()

        def ask_kernel() -> None:
            prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            # A parent that died before the line above sends no signal any more.
            if os.getppid() != parent:
                os._exit(1)

        return ask_kernel
    else:
        return None
