"""The bounded argon2id pool. Who would wait too long gets an answer at once (503): a queue that grows only
makes everybody late."""

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from service.domain.code import Code, HashCost, digest_code
from service.domain.errors import UnavailableError

START_WAIT, VERIFY_WAIT = 0.5, 1.5
"""Seconds that a hash may have to wait for its turn. A verify, which ends a login, finds room where a start,
which begins one, does not."""
_RETRY_AFTER = 1
_PER_KIB = 1.2e-6
"""Seconds for each KiB and pass, until the first hashes tell better."""
_SMOOTHING = 0.1
_CHEAP = 0.001
"""Seconds below which a hash is done where it is asked for: a thread would wait longer for the interpreter
(the GIL), which a busy one gives up every 5 ms."""


class HashPool:
    """Threads that hash (argon2-cffi releases the GIL), one for each core unless said otherwise."""

    def __init__(self, cost: HashCost, threads: int | None = None) -> None:
        self._cost = cost
        self._count = threads or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="argon2")
        self._took = _PER_KIB * cost.memory_kib * cost.iterations
        self._is_cheap = self._took < _CHEAP
        self.in_use = 0

    @property
    def places(self) -> int:
        """How many hashes may wait or run, as fast as they are now."""
        return max(int(self._count * VERIFY_WAIT / self._took), self._count)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place, so that work begun can be finished.

        Raises:
            UnavailableError: there is none.
        """
        if self.full:
            raise self._refusal()
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1

    def check_start(self) -> None:
        """Raises UnavailableError if a start would have to wait too long for its hash."""
        if self.in_use >= max(self.places * START_WAIT / VERIFY_WAIT, self._count):
            raise self._refusal()

    @property
    def full(self) -> bool:
        return self.in_use >= self.places

    async def digest(
        self,
        code: Code,
        *,
        verification: str,
        pepper: bytes,
        salt: bytes,
        bound: str | None = None,
    ) -> bytes:
        """``domain.code.digest_code``, off the event loop where that is worth it; hold a ``slot``
        while calling it."""

        def work() -> tuple[bytes, float]:
            begun = time.perf_counter()
            found = digest_code(
                code,
                verification=verification,
                pepper=pepper,
                salt=salt,
                cost=self._cost,
                bound=bound,
            )
            return found, time.perf_counter() - begun

        if self._is_cheap:
            digest, took = work()
        else:
            digest, took = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._took += _SMOOTHING * (took - self._took)
        return digest

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _refusal(self) -> UnavailableError:
        return UnavailableError("Too many codes are being checked; try again.", _RETRY_AFTER)
