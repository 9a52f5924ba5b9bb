"""Delivers what is queued: in order for each verification, at least once, without a coordinator.

A try is a lease in the store. A process that dies between its POST and the record of it leaves the
callback due again when the lease ends, under the same ``webhook-id``.
"""

import asyncio
import random
from collections import Counter

import structlog

from service.callbacks.client import MOST_AT_ONCE, POST_TIMEOUT, Answer, CallbackClient
from service.callbacks.signature import signed_headers
from service.clock import Clock
from service.domain.callback import host_of, next_try, payload
from service.domain.errors import UnavailableError
from service.domain.keyring import Keyring
from service.store.callbacks import Callback, CallbackStore, Due, Try
from service.store.keys import CallbackKeys
from service.telemetry import Metrics

LEASE = POST_TIMEOUT + 5_000
"""Milliseconds: longer than a POST can take, so that a live holder never loses it."""
MOST_FOR_A_HOST = 8
_POLL_IDLE = 250
_POLL_AT_WORK = 50
_MEASURE_INTERVAL = 10_000
_POSTPONE = (1_000, 5_000)

log = structlog.get_logger(__name__)


class Deliveries:
    """Polls the queues and posts what is due. ``url``: where what belongs to no verification goes."""

    def __init__(
        self,
        store: CallbackStore,
        client: CallbackClient,
        keyring: Keyring,
        *,
        url: str | None,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._client = client
        self._keyring = keyring
        self._url = url or ""
        self._clock = clock
        self._metrics = metrics
        self._running: dict[CallbackKeys, asyncio.Task[None]] = {}
        self._hosts: Counter[str] = Counter()
        self._measured_at = 0

    async def prepare(self) -> None:
        """Before anything is recorded: whether what belongs to no verification is queued at all."""
        await self._store.queue_the_rest(bool(self._url))

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until ``stopping`` is set; what was begun is finished first."""
        while not stopping.is_set():
            try:
                await self.poll()
                await self._measure()
            except UnavailableError:
                pass  # The connection has logged it; the next poll tries again.
            except Exception:
                log.exception("callbacks.failed")
            pause = _POLL_AT_WORK if self._running else _POLL_IDLE
            try:
                await asyncio.wait_for(stopping.wait(), pause * random.uniform(0.8, 1.2) / 1000)  # noqa: S311
            except TimeoutError:
                continue
        await self.finish()

    async def poll(self) -> None:
        """Begin what is due now and has a place; a slow receiver takes no more than its share."""
        now = self._clock.now()
        passed_over = [due for due in await self._store.due(now) if not self._begin(due)]
        # Behind these may be others, whose receivers are well.
        await self._store.postpone(
            [(due.keys, now + random.randint(*_POSTPONE)) for due in passed_over if due.crowded]  # noqa: S311
        )

    async def finish(self) -> None:
        """Wait for what has begun."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    def _begin(self, due: Due) -> bool:
        host = host_of(due.url or self._url)
        full = len(self._running) >= MOST_AT_ONCE or self._hosts[host] >= MOST_FOR_A_HOST
        if due.keys in self._running or full:
            return False
        self._hosts[host] += 1
        task = asyncio.create_task(self._deliver(due.keys))
        self._running[due.keys] = task
        task.add_done_callback(lambda _: self._ended(due.keys, host))
        return True

    def _ended(self, subject: CallbackKeys, host: str) -> None:
        del self._running[subject]
        self._hosts -= Counter((host,))

    async def _deliver(self, subject: CallbackKeys) -> None:
        try:
            held = await self._store.claim(subject, self._clock.now())
            if held is not None:
                await self._settle(held, await self._post(held.callback))
        except UnavailableError:
            log.warning("callbacks.unavailable", subject=subject.subject)
        except Exception:
            # One callback that cannot be delivered must not hold up the others; its lease ends.
            log.exception("callbacks.failed", subject=subject.subject)

    async def _post(self, callback: Callback) -> Answer:
        url = callback.url or self._url
        if not url:
            return Answer("no_url", final=True)  # The configuration no longer has one.
        body, now = payload(callback.event), self._clock.now()
        headers = signed_headers(self._keyring, callback.app, callback.id, now, body)
        return await self._client.post(url, headers, body, now)

    async def _settle(self, held: Try, answer: Answer) -> None:
        callback, now = held.callback, self._clock.now()
        if answer.delivered:
            await self._store.delivered(held, now)
            self._metrics.callback("delivered", answer.word)
            return
        jitter = random.uniform(-1, 1)  # noqa: S311
        at = next_try(
            held.number, callback.since, now, jitter=jitter, retry_after=answer.retry_after
        )
        if answer.final or at is None:
            await self._store.bury(held, now, answer.word)
        else:
            await self._store.retry(held, now, at)
        outcome = "dead" if answer.final or at is None else "retried"
        self._metrics.callback(outcome, answer.word)
        log.warning(
            "callback.failed",
            outcome=outcome,
            id=callback.id,
            subject=callback.subject,
            host=host_of(callback.url or self._url),
            tries=held.number,
            answer=answer.word,
        )

    async def _measure(self) -> None:
        now = self._clock.now()
        if now - self._measured_at < _MEASURE_INTERVAL:
            return
        self._measured_at = now
        found = await self._store.backlog()
        age = now - found.since if found.since is not None else 0
        self._metrics.backlog(found.subjects, max(age, 0), found.dead, found.lost)
