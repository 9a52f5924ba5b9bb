"""The bounded argon2id pool. A full pool is an answer (503), never a queue without end."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from service.domain.code import Code, HashCost, digest_code
from service.domain.errors import UnavailableError

_QUEUE_PER_THREAD = 128
_RETRY_AFTER = 1


class HashPool:
    """Threads that hash (argon2-cffi releases the GIL), one for each core unless said otherwise."""

    def __init__(self, cost: HashCost, threads: int | None = None) -> None:
        self._cost = cost
        count = threads or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="argon2")
        self.places = count * _QUEUE_PER_THREAD
        self.in_use = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place, so that work begun can be finished.

        Raises:
            UnavailableError: there is none.
        """
        self.check()
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1

    def check(self) -> None:
        """Raises UnavailableError if there is no place."""
        if self.full:
            raise UnavailableError("Too many codes are being checked; try again.", _RETRY_AFTER)

    @property
    def full(self) -> bool:
        return self.in_use >= self.places

    async def digest(self, code: Code, *, verification: str, pepper: bytes, salt: bytes) -> bytes:
        """``domain.code.digest_code`` off the event loop; hold a ``slot`` while calling it."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: digest_code(
                code, verification=verification, pepper=pepper, salt=salt, cost=self._cost
            ),
        )

    def close(self) -> None:
        self._threads.shutdown(wait=True)
