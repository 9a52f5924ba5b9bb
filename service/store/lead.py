"""One process of many that does a work, until it dies or stops. Two would do no harm but waste their work."""

import secrets

from service.store.connection import Connection

LEASE = 10_000
"""Milliseconds after which another takes the lead from one that died."""


class Lead:
    """The lead over one work, held under a key of its own."""

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection = connection
        self._key = key
        self._token = secrets.token_hex(8)

    async def take(self) -> bool:
        """Take the lead, or keep it."""
        if await self._connection.command("SET", self._key, self._token, "NX", "PX", LEASE):
            return True
        if await self._connection.command("GET", self._key) != self._token:
            return False
        await self._connection.command("PEXPIRE", self._key, LEASE)
        return True
