"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): one start, however often it is asked for.

A verification, and a refusal that is final, are replayed for 24 hours. After an error that a retry may
cure (429, 503) the same request may come again under its key at once, and is judged anew.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from service.clock import Clock
from service.domain.errors import (
    FINAL_REFUSALS,
    CountersignError,
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    UnavailableError,
)
from service.domain.keyring import Keyring
from service.store.reservations import Done, Mismatch, ReservationStore, Reserved, Running

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The caller's key, and the body that came with it; only a keyed digest of either is stored."""

    key: str
    body: str = field(repr=False)


class Idempotent:
    """Runs a start at most once for each key of an app."""

    def __init__(self, store: ReservationStore, keyring: Keyring, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock

    async def __call__(
        self,
        app: str,
        idempotency: Idempotency,
        id_: str,
        *,
        start: Callable[[str], Awaitable[T]],
        replay: Callable[[str], Awaitable[T]],
    ) -> T:
        """``start`` under the id that the key got first, or ``replay`` what an earlier request made.

        Raises:
            IdempotencyMismatchError, IdempotencyInProgressError: as their names say.
            CountersignError: what ``start`` raised, now or then.
        """
        digest = self._keyring.digest("idempotency", f"{app}|{idempotency.key}")
        fingerprint = self._keyring.digest("idempotent-body", idempotency.body)
        held = await self._store.reserve(digest, fingerprint, id_, self._clock.now())
        match held:
            case Mismatch():
                raise IdempotencyMismatchError(
                    "This Idempotency-Key was used with another body; use a new key for a new request."
                )
            case Running():
                raise IdempotencyInProgressError(
                    "The first request with this Idempotency-Key is still at work.", 1
                )
            case CountersignError():
                raise held
            case Done():
                return await replay(held.id)
            case Reserved():
                return await self._run(digest, held, start)

    async def _run(self, digest: str, held: Reserved, start: Callable[[str], Awaitable[T]]) -> T:
        try:
            result = await start(held.id)
        except CountersignError as error:
            await self._refused(digest, held, error)
            raise
        await self._store.finish(digest, held)
        return result

    async def _refused(self, digest: str, held: Reserved, error: CountersignError) -> None:
        try:
            if error.slug in FINAL_REFUSALS:
                await self._store.refuse(digest, held, error)
            else:
                await self._store.let_go(digest, held, self._clock.now())
        except UnavailableError:
            # The hold ends by itself, and the caller is told what went wrong first.
            log.warning("idempotency.not_settled")
