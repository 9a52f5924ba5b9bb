"""Persons in the audit trail: which pseudonym is whose, and making it nobody's."""

from collections.abc import AsyncIterator

from service.domain.audit import of_erasure
from service.store.connection import Connection
from service.store.keys import RecipientKeys
from service.store.migrations.state import MigrationStore
from service.store.records import dump, pairs, read_base
from service.store.scripts import Scripts


class PendingError(Exception):
    """The verification of this id is still under way."""


class UpgradeOpenError(Exception):
    """The trail still has events that name persons by their look-up ids."""


class PeopleStore:
    """The ties between look-up ids and pseudonyms."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    async def pseudonym(self, recipient_id: str) -> str | None:
        """``None``: the trail has nothing that can be told to be this person's."""
        found = await self._connection.command("GET", RecipientKeys(recipient_id).pseudonym)
        return found if found is None else str(found)

    async def erase(self, recipient_id: str, now: int, *, actor: str) -> str | None:
        """Cut the tie, and drop the person's records, known clients, last senders and line. Gives what
        was the pseudonym. Her opt-outs stay: they are to be honoured. Her limits stay too: they end within
        a day, and an erasure must not give a guesser new guesses.

        Raises:
            UpgradeOpenError: some of her events may not have a pseudonym yet.
            PendingError: a verification of hers is under way, and its events would tie her again.
        """
        if not await MigrationStore(self._connection, self._scripts).is_done():
            raise UpgradeOpenError
        k = RecipientKeys(recipient_id)
        if await self.pseudonym(recipient_id) is None:
            return None
        records = {id_ async for id_ in self._records(k)}
        others = {k.line}
        for of_apps in (k.known("*"), k.last_sender("*"), k.pending("*", "*")):
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

    async def _records(self, k: RecipientKeys) -> AsyncIterator[str]:
        async for name in self._connection.scan(f"{k.prefix}v:*"):
            fields = pairs(await self._connection.command("HGETALL", name))
            if fields and read_base(fields)["recipient_id"] == k.recipient_id:
                yield name.rpartition(":")[2]
