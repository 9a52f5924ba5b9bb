"""The definitions of apps: one hash, permanent, read through a short cache."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.clock import Clock
from service.domain.app import DEFAULT_APP, App, FixedCode, read_app
from service.domain.audit import Event
from service.store import keys
from service.store.connection import Connection
from service.store.records import dump, pairs
from service.store.scripts import Scripts

CACHE_TIME = 5_000
"""How long (milliseconds) an instance trusts what it read: a change holds everywhere within this time."""
_MOST_CACHED = 10_000
_KEYS = {"apps": keys.APPS, "audit": f"{keys.prefix(0)}audit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """An app with its definition as it was given (JSON, without test numbers). Instants in milliseconds; an
    app that nobody defined has ``revision`` 0. ``stored`` is what a change has to find unchanged."""

    app: App
    definition: Mapping[str, Any]
    revision: int = 0
    created_at: int = 0
    updated_at: int = 0
    stored: str = ""

    @property
    def tag(self) -> str:
        """Of this very state: an app that was deleted and created anew never has it again."""
        return f"{self.revision}-{self.created_at}"


class AppStore:
    """Reads and changes definitions."""

    def __init__(self, connection: Connection, scripts: Scripts, clock: Clock) -> None:
        self._connection = connection
        self._scripts = scripts
        self._clock = clock
        self._cache: dict[str, tuple[int, App]] = {}

    async def get(self, id_: str) -> App:
        """The app as of the last few seconds; of one that nobody defined everything is open."""
        now = self._clock.now()
        until, app = self._cache.get(id_, (0, None))
        if app is None or until <= now:
            app = (await self.read(id_)).app
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[id_] = (now + CACHE_TIME, app)
        return app

    async def read(self, id_: str) -> Defined:
        """The app as it is now."""
        stored = await self._connection.command("HGET", keys.APPS, id_)
        return _load(id_, stored) if stored else Defined(app=App(id=id_), definition={})

    async def list(self) -> list[Defined]:
        """All that were defined, by name, and the default app in any case."""
        entries = {DEFAULT_APP: ""} | pairs(await self._connection.command("HGETALL", keys.APPS))
        return [
            _load(id_, entry) if entry else Defined(app=App(id=id_), definition={})
            for id_, entry in sorted(entries.items())
        ]

    async def put(
        self,
        before: Defined,
        definition: Mapping[str, Any],
        test_numbers: Mapping[str, FixedCode],
        now: int,
        event: Event,
    ) -> Defined | None:
        """Create, or replace what was read; ``None`` if somebody else changed it since."""
        id_ = before.app.id
        written = dump(
            {
                "definition": definition,
                "test_numbers": test_numbers,
                "revision": before.revision + 1,
                "created_at": before.created_at or now,
                "updated_at": now,
            }
        )
        args = {"name": id_, "read": before.stored, "written": written, "event": dump(event)}
        reply = await self._scripts.run("put_app", _KEYS, args)
        self._cache.pop(id_, None)
        return _load(id_, written) if reply[0] == "ok" else None

    async def delete(self, before: Defined, event: Event) -> bool:
        """Delete what was read; ``False`` if somebody else changed it since."""
        id_ = before.app.id
        args = {"name": id_, "read": before.stored, "event": dump(event)}
        reply = await self._scripts.run("delete_app", _KEYS, args)
        self._cache.pop(id_, None)
        return reply[0] == "ok"


def _load(id_: str, stored: str) -> Defined:
    found = json.loads(stored)
    codes = {number: FixedCode(**of) for number, of in found.pop("test_numbers").items()}
    definition = found["definition"]
    return Defined(app=read_app(id_, definition, codes), stored=stored, **found)
