"""Limits of callers: requests with one API key, and bad keys from one address."""

import secrets
from collections import OrderedDict, deque
from collections.abc import Sequence

from service.clock import Clock
from service.domain.errors import RateLimitedError
from service.domain.guard import Exceeded, Limit, LimitKey, Standing, network_of
from service.store.limits import LimitStore
from service.telemetry import Metrics

MOST_ADDRESSES = 10_000


class FailedKeys:
    """A sliding log of refused keys by address, in this process; the address that was quiet longest makes
    room for a new one."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._seen: OrderedDict[str, deque[int]] = OrderedDict()

    def add(self, address: str, now: int) -> Exceeded | None:
        """Count one, or say how long (milliseconds) until one counts again."""
        times = self._seen.setdefault(address, deque(maxlen=self._limit.count))
        self._seen.move_to_end(address)
        if len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)
        length = self._limit.seconds * 1000
        if len(times) == self._limit.count and times[0] > now - length:
            return Exceeded("failed_keys", self._limit, times[0] + length - now)
        times.append(now)
        return None


class KeyLimits:
    """``windows``: of one key, over all processes; none by default, for it costs a round trip."""

    def __init__(
        self,
        store: LimitStore,
        windows: tuple[Limit, ...],
        failed: Limit,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._windows = windows
        self._failed = FailedKeys(failed)
        self._clock = clock
        self._metrics = metrics

    async def take(self, key_id: str) -> Sequence[Standing]:
        """Count a request with a good key. Raises RateLimitedError if it made too many."""
        if not self._windows:
            return ()
        key = LimitKey("api_key", key_id, self._windows)
        taken = await self._store.take([key], secrets.token_hex(8), self._clock.now())
        if isinstance(taken, Exceeded):
            raise self._used_up(taken)
        return taken

    def refused(self, address: str) -> None:
        """Count a request with a bad key.

        A good key is never asked for this, so nobody who shares an address with a guesser is locked out.

        Raises:
            RateLimitedError: the address sent too many.
        """
        self._metrics.key_refused()
        try:
            caller = network_of(address)
        except ValueError:  # a Unix socket
            caller = address
        exceeded = self._failed.add(caller, self._clock.now())
        if exceeded is not None:
            raise self._used_up(exceeded)

    def _used_up(self, exceeded: Exceeded) -> RateLimitedError:
        self._metrics.limited(exceeded.limit)
        return RateLimitedError.of(exceeded)
