"""Apps: defined, changed and deleted, by an operator's command or the admin API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.clock import Clock
from service.domain import audit
from service.domain.app import DEFAULT_APP, FixedCode, Ground, find_faults, read_app, seal_code
from service.domain.audit import EventType
from service.domain.code import Code
from service.domain.errors import (
    AppChangedError,
    AppExistsError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from service.domain.keyring import Keyring
from service.domain.recipient import Recipient
from service.flow.api_keys import ApiKeys
from service.store.api_keys import KeyChangedError
from service.store.apps import AppStore, Defined

ANY = "*"
"""As the tag that a change expects: whichever state it finds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A whole definition (JSON, checked by ``service.api.apps``). ``test_numbers``: ``None`` leaves those
    that are there."""

    definition: Mapping[str, Any]
    test_numbers: Sequence[tuple[Recipient, Code]] | None = None


class Apps:
    """The definitions over one configuration."""

    def __init__(
        self,
        *,
        store: AppStore,
        api_keys: ApiKeys,
        ground: Ground,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._store = store
        self._api_keys = api_keys
        self._ground = ground
        self._keyring = keyring
        self._clock = clock

    async def list(self) -> list[Defined]:
        return await self._store.list()

    async def get(self, id_: str) -> Defined:
        """Raises NotFoundError if nobody defined it, and it is not the default app."""
        found = await self._store.read(id_)
        if not found.revision and id_ != DEFAULT_APP:
            raise _unknown()
        return found

    async def put(self, id_: str, wanted: Wanted, *, expected: str | None, actor: str) -> Defined:
        """Create an app (``expected`` is ``None``), or replace what stands under the tag ``expected``.

        Raises:
            AppExistsError: it is there, and nothing was expected.
            AppChangedError: it is not what was expected.
            InvalidRequestError: the definition does not go with the configuration.
        """
        before = await self._store.read(id_)
        _check(before, expected)
        numbers = self._test_numbers(before, wanted)
        app = read_app(id_, wanted.definition, numbers)
        if faults := find_faults(app, wanted.definition, self._ground):
            raise InvalidRequestError(faults)
        changed = [
            name
            for name in sorted(before.definition.keys() | wanted.definition.keys())
            if before.definition.get(name) != wanted.definition.get(name)
        ]
        if wanted.test_numbers is not None and (numbers or before.app.test_numbers):
            changed.append("test_numbers")
        now = self._clock.now()
        event = audit.of_app(
            EventType.APP_CHANGED if before.revision else EventType.APP_CREATED,
            id_,
            now,
            actor=actor,
            revision=before.revision + 1,
            members=changed,
        )
        written = await self._store.put(before, wanted.definition, numbers, now, event)
        if written is None:
            raise AppChangedError
        return written

    async def delete(self, id_: str, *, expected: str, actor: str) -> None:
        """Revoke the app's keys and forget its definition. What it began goes on to its end.

        Raises:
            NotFoundError: nobody defined it.
            InvalidRequestError: it is the default app.
            AppChangedError: it is not what was expected, or changed meanwhile.
            UnavailableError: somebody changed one of its keys meanwhile.
        """
        if id_ == DEFAULT_APP:
            raise InvalidRequestError.at("", "the app default is always there: change it instead")
        before = await self.get(id_)
        _check(before, expected)
        # First, or they would go on with the configuration as any slug does.
        await self._revoke_keys(id_, actor)
        event = audit.of_app(
            EventType.APP_DELETED,
            id_,
            self._clock.now(),
            actor=actor,
            revision=before.revision,
            members=sorted(before.definition),
        )
        if not await self._store.delete(before, event):
            raise AppChangedError

    async def _revoke_keys(self, app: str, actor: str) -> None:
        for key, _ in await self._api_keys.of_app(app):
            if key.revoked_at is None:
                try:
                    await self._api_keys.revoke(key.id, actor=actor)
                except KeyChangedError:
                    raise UnavailableError(
                        "Somebody else changed a key of the app at the same time; try again.", 1
                    ) from None

    def _test_numbers(self, before: Defined, wanted: Wanted) -> Mapping[str, FixedCode]:
        if wanted.test_numbers is None:
            return before.app.test_numbers
        app, found = before.app.id, {}
        for recipient, code in wanted.test_numbers:
            id_ = self._keyring.lookup_id(recipient.e164)
            found[id_] = FixedCode(recipient.masked, seal_code(code, app, id_, self._keyring))
        return found


def _check(found: Defined, expected: str | None) -> None:
    if expected is None and found.revision:
        raise AppExistsError
    if expected == ANY and not found.revision:
        raise AppChangedError
    if expected not in (None, ANY, found.tag):
        raise AppChangedError


def _unknown() -> NotFoundError:
    return NotFoundError("Nobody defined such an app; its keys go by the configuration.")
