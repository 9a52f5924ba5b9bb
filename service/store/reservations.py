"""Idempotency-Key reservations (draft-ietf-httpapi-idempotency-key-header-07).

A reservation fixes the verification's id before anything is created. A retry after a crash goes on
under the same id, and the create script refuses a second one, so no retry sends a second message.
"""

import json
from dataclasses import dataclass

from service.domain.errors import FINAL_REFUSALS, CountersignError
from service.store import keys
from service.store.connection import Connection
from service.store.records import dump
from service.store.scripts import Scripts

KEEP = 24 * 3600 * 1000
"""How long a key is remembered, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """This request is the one that starts the verification ``id``; its hold ends at ``until``."""

    id: str
    until: int


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
    ) -> Reserved | Done | Running | Mismatch | CountersignError:
        """Take the key, or say what became of it: an error is the refusal that it got."""
        until = now + self._running
        reply = await self._scripts.run(
            "reserve",
            {"reservation": keys.reservation(digest)},
            {
                "fingerprint": fingerprint,
                "id": id_,
                "now": now,
                "running_until": until,
                "keep": KEEP,
            },
        )
        match reply[0]:
            case "reserved":
                return Reserved(reply[1], until)
            case "done":
                return Done(reply[1])
            case "refused":
                return _load(reply[1])
            case "running":
                return Running(int(reply[1]))
            case _:
                return Mismatch()

    async def finish(self, digest: str, held: Reserved) -> None:
        """The request is answered: further ones get the same verification."""
        await self._settle(digest, held, 0)

    async def refuse(self, digest: str, held: Reserved, refusal: CountersignError) -> None:
        """The request is refused for good: further ones get the same refusal."""
        found = {"slug": refusal.slug, "detail": refusal.detail, "members": refusal.members}
        await self._settle(digest, held, 0, dump(found))

    async def let_go(self, digest: str, held: Reserved, now: int) -> None:
        """The request came to nothing that lasts: the same one may be tried again at once."""
        await self._settle(digest, held, now)

    async def _settle(self, digest: str, held: Reserved, until: int, refusal: str = "") -> None:
        await self._scripts.run(
            "settle_reservation",
            {"reservation": keys.reservation(digest)},
            {
                "id": held.id,
                "held_until": held.until,
                "running_until": until,
                "refusal": refusal,
            },
        )


def _load(refusal: str) -> CountersignError:
    found = json.loads(refusal)
    error = FINAL_REFUSALS[found["slug"]](found["detail"], found["members"])
    error.replayed = True
    return error
