"""API keys: made, rotated and revoked, by an operator's command or the admin API; each with its event."""

from collections.abc import Sequence

from service.clock import Clock
from service.domain import audit
from service.domain.audit import EventType
from service.store.api_keys import ApiKey, ApiKeyStore, Scope


class ApiKeys:
    """``actor``s are API keys' ids, or ``operator``."""

    def __init__(self, store: ApiKeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def of_app(self, app: str) -> list[tuple[ApiKey, int | None]]:
        """The app's keys, the oldest first, and when each was last used (milliseconds)."""
        return [found for found in await self._store.list() if found[0].app == app]

    async def create(
        self, app: str, scopes: Sequence[Scope], expires_at: int | None, *, actor: str
    ) -> tuple[ApiKey, str]:
        """A new key, and its plain form, which is shown once and never stored."""
        key, plain = await self._store.create(app, scopes, expires_at)
        await self._record(EventType.KEY_CREATED, key, actor)
        return key, plain

    async def rotate(
        self, id_: str, overlap: int, expires_at: int | None, *, actor: str
    ) -> tuple[ApiKey, str] | None:
        """As ``ApiKeyStore.rotate``."""
        rotated = await self._store.rotate(id_, overlap, expires_at)
        if rotated is not None:
            await self._record(EventType.KEY_ROTATED, rotated[0], actor)
        return rotated

    async def revoke(self, id_: str, *, actor: str) -> bool:
        """As ``ApiKeyStore.revoke``."""
        key = await self._store.revoke(id_)
        if key is None:
            return False
        await self._record(EventType.KEY_REVOKED, key, actor)
        return True

    async def _record(self, kind: EventType, key: ApiKey, actor: str) -> None:
        event = audit.of_key(
            kind, key.id, key.app, sorted(key.scopes), self._clock.now(), actor=actor
        )
        await self._store.record(event)
