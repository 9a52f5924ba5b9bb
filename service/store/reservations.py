"""Idempotency-Key reservations (draft-ietf-httpapi-idempotency-key-header-07).

A reservation fixes the verification's id before anything is created. A retry after a crash goes on
under the same id, and the create script refuses a second one, so no retry sends a second message.
"""

from dataclasses import dataclass

from service.store import keys
from service.store.connection import Connection
from service.store.scripts import Scripts

KEEP = 24 * 3600 * 1000
"""How long a key is remembered, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """This request is the one that starts the verification ``id``."""

    id: str


@dataclass(frozen=True, slots=True)
class Done:
    """An earlier request with this key has been answered with the verification ``id``."""

    id: str


@dataclass(frozen=True, slots=True)
class Running:
    """An earlier request with this key is at work, for ``wait`` milliseconds more at most."""

    wait: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used with another body."""


class ReservationStore:
    """``running``: how long (milliseconds) a request may take before it counts as dead."""

    def __init__(self, connection: Connection, scripts: Scripts, *, running: int) -> None:
        self._connection = connection
        self._scripts = scripts
        self._running = running

    async def reserve(
        self, digest: str, fingerprint: str, id_: str, now: int
    ) -> Reserved | Done | Running | Mismatch:
        reply = await self._scripts.run(
            "reserve",
            {"reservation": keys.reservation(digest)},
            {
                "fingerprint": fingerprint,
                "id": id_,
                "now": now,
                "running_until": now + self._running,
                "keep": KEEP,
            },
        )
        match reply[0]:
            case "reserved":
                return Reserved(reply[1])
            case "done":
                return Done(reply[1])
            case "running":
                return Running(int(reply[1]))
            case _:
                return Mismatch()

    async def finish(self, digest: str) -> None:
        """The request is answered: further ones get the same verification."""
        await self._connection.command("HSET", keys.reservation(digest), "running_until", "0")

    async def release(self, digest: str) -> None:
        """The request was refused and nothing was created: the key is free again."""
        await self._connection.command("DEL", keys.reservation(digest))
