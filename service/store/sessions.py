"""Sessions of the dashboard: of a token only a keyed digest is stored, and which API key it stands for."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from service.store import keys
from service.store.connection import Connection
from service.store.records import dump

IDLE = 30 * 60_000
LONGEST = 8 * 3_600_000
"""Milliseconds: an end without use, and one in any case (OWASP ASVS 5.0, 7.3; NIST SP 800-63B-4 AAL2)."""


@dataclass(frozen=True, slots=True)
class Session:
    """Whose it is. ``form_token`` stands in each of its forms, so that no other site can send one."""

    key_id: str
    form_token: str


class SessionStore:
    """Begins, finds and ends sessions. ``digest``: keyed, of a purpose and a value."""

    def __init__(self, connection: Connection, digest: Callable[[str, str], str]) -> None:
        self._connection = connection
        self._digest = digest

    async def begin(self, key_id: str, now: int) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(32)
        entry = dump({"key": key_id, "until": now + LONGEST})
        await self._connection.command("SET", self._name(token), entry, "PX", IDLE)
        return token

    async def find(self, token: str, now: int) -> Session | None:
        """The session, which lasts on by being used; ``None`` if it is over."""
        found = await self._connection.command("GETEX", self._name(token), "PX", IDLE)
        if found is None:
            return None
        entry = json.loads(found)
        if now >= entry["until"]:
            return None
        return Session(entry["key"], self._digest("dashboard-form", token))

    async def end(self, token: str) -> None:
        await self._connection.command("DEL", self._name(token))

    def _name(self, token: str) -> str:
        return keys.session(self._digest("dashboard-session", token))
