"""Delivers what is queued: in order for each verification, at least once, without a coordinator.

A try is a lease in the store. A process that dies between its POST and the record of it leaves the
callback due again when the lease ends, under the same ``webhook-id``.
"""

import asyncio
import random
from functools import partial

import structlog

from service.callbacks.client import POST_TIMEOUT, Answer, CallbackClient
from service.callbacks.signature import signed_headers
from service.callbacks.turns import Turns
from service.clock import Clock
from service.domain.callback import host_of, next_try, payload
from service.domain.errors import UnavailableError
from service.domain.keyring import Keyring
from service.store.callbacks import Callback, CallbackStore, Try
from service.store.keys import CallbackKeys
from service.telemetry import Metrics

LEASE = POST_TIMEOUT + 5_000
"""Milliseconds: longer than a POST can take, so that a live holder never loses it."""
_POLL_INTERVAL = 250
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
        self._turns = Turns()
        self._tasks: set[asyncio.Task[bool]] = set()
        self._stopping = False
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
            pause = _POLL_INTERVAL * random.uniform(0.8, 1.2)  # noqa: S311  as the worker's
            try:
                await asyncio.wait_for(stopping.wait(), pause / 1000)
            except TimeoutError:
                continue
        self._stopping = True
        await self.idle()

    async def poll(self) -> None:
        """Take in what is due now, and begin what has a place."""
        now = self._clock.now()
        due = await self._store.due(now, self._turns.known)
        urls = await self._store.urls(due)
        no_room = [
            subject
            for subject, url in zip(due, urls, strict=True)
            if not self._turns.add(subject, host_of(url or self._url))
        ]
        self._begin()
        # Behind these may be others, whose receivers are well.
        later = [(subject, now + random.randint(*_POSTPONE)) for subject in no_room]  # noqa: S311
        await self._store.postpone(later)

    async def idle(self) -> None:
        """Wait until nothing is at work."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _begin(self) -> None:
        while not self._stopping and (subject := self._turns.next()) is not None:
            task = asyncio.create_task(self._deliver(subject))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, subject))

    def _ended(self, subject: CallbackKeys, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        self._turns.done(subject, again=not task.cancelled() and task.result())
        self._begin()

    async def _deliver(self, subject: CallbackKeys) -> bool:
        """One try of the subject's first callback; whether its next one is due."""
        try:
            held = await self._store.claim(subject, self._clock.now())
            return held is not None and await self._settle(held, await self._try(held.callback))
        except UnavailableError:
            log.warning("callbacks.unavailable", subject=subject.subject)
        except Exception:
            # One subject's trouble must not hold up the others; its lease ends.
            log.exception("callbacks.failed", subject=subject.subject)
        return False

    async def _try(self, callback: Callback) -> Answer:
        try:
            return await self._post(callback)
        except Exception:
            # What can never be posted must end among the dead letters, not be tried for ever.
            log.exception("callback.broken", id=callback.id)
            return Answer("failed")

    async def _post(self, callback: Callback) -> Answer:
        url = callback.url or self._url
        if not url:
            return Answer("no_url", final=True)  # The configuration no longer has one.
        body, now = payload(callback.event), self._clock.now()
        headers = signed_headers(self._keyring, callback.app, callback.id, now, body)
        return await self._client.post(url, headers, body, now)

    async def _settle(self, held: Try, answer: Answer) -> bool:
        """Record the try; whether the subject's next callback is due."""
        callback, now = held.callback, self._clock.now()
        if answer.delivered:
            self._metrics.callback("delivered", answer.word)
            return await self._store.delivered(held, now) == "more"
        jitter = random.uniform(-1, 1)  # noqa: S311
        at = next_try(
            held.number, callback.since, now, jitter=jitter, retry_after=answer.retry_after
        )
        if answer.final or at is None:
            outcome, word = "dead", await self._store.bury(held, now, answer.word)
        else:
            outcome, word = "retried", await self._store.retry(held, now, at)
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
        return word == "more"

    async def _measure(self) -> None:
        now = self._clock.now()
        if now - self._measured_at < _MEASURE_INTERVAL:
            return
        self._measured_at = now
        found = await self._store.backlog()
        age = now - found.since if found.since is not None else 0
        self._metrics.backlog(found.subjects, max(age, 0), found.dead, found.lost)
