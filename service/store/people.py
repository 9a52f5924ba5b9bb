"""Persons in the audit trail: which pseudonym is whose, and making it nobody's."""

import json
from collections.abc import AsyncIterator

from service.domain.audit import of_erasure
from service.store.connection import Connection
from service.store.keys import RecipientKeys, partition_of
from service.store.records import dump
from service.store.scripts import Scripts
from service.store.trail import START, TrailStore


class PendingError(Exception):
    """The verification of this id is still under way."""


class PeopleStore:
    """The ties between look-up ids and pseudonyms."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts
        self._trail = TrailStore(connection)

    async def pseudonym(self, recipient_id: str) -> str | None:
        """``None``: the trail has nothing that can be told to be this person's."""
        found = await self._connection.command("GET", RecipientKeys(recipient_id).pseudonym)
        return found if found is None else str(found)

    async def erase(self, recipient_id: str, now: int, *, actor: str) -> str | None:
        """Cut the tie, and drop the person's records, known clients and line. Gives what was the pseudonym.
        Her opt-outs stay: they are to be honoured. Her limits stay too: they end within a day, and an erasure
        must not give a guesser new guesses.

        Raises:
            PendingError: a verification of hers is under way, and its events would tie her again.
        """
        k = RecipientKeys(recipient_id)
        pseudonym = await self.pseudonym(recipient_id)
        if pseudonym is None:
            return None
        records = {id_ async for id_ in self._verifications(recipient_id, pseudonym)}
        others = {k.line}
        for of_apps in (k.known("*"), k.pending("*", "*")):
            others |= {name async for name in self._connection.scan(of_apps)}
        reply = await self._scripts.run(
            "erase",
            {"tie": k.pseudonym, "active": k.active, "audit": k.audit},
            {
                "prefix": k.prefix,
                "event": dump(of_erasure(recipient_id, now, actor=actor)),
                "records": " ".join(sorted(records)),
                "others": " ".join(sorted(others)),
            },
        )
        if reply[0] == "pending":
            raise PendingError(reply[1])
        return reply[1] if reply[0] == "ok" else None

    async def _verifications(self, recipient_id: str, pseudonym: str) -> AsyncIterator[str]:
        partition = partition_of(recipient_id)
        until = await self._trail.now()
        async for entry in self._trail.read(START, until, [partition]):
            event = json.loads(entry.original)
            if event.get("recipient") == pseudonym and "verification" in event:
                yield event["verification"]
