"""Quarantines: one hash of all senders whose failures spike, by country. All processes look at it now and
then; only who has the lead judges."""

import json
from dataclasses import asdict

from service.domain.audit import Event
from service.domain.quarantine import Change, Quarantined
from service.domain.stats import Where
from service.store import keys
from service.store.connection import Connection
from service.store.lead import Lead
from service.store.records import dump, pairs
from service.store.scripts import Scripts

_KEEP = 7 * 24 * 3_600_000
_BETWEEN = "/"
_AUDITED = {"quarantines": keys.QUARANTINES, "audit": f"{keys.prefix(0)}audit"}


class QuarantineStore:
    """Reads and changes."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts
        self.lead = Lead(connection, keys.QUARANTINE_LEASE)

    async def all(self) -> dict[Where, Quarantined]:
        found = pairs(await self._connection.command("HGETALL", keys.QUARANTINES))
        return {
            Where(*where.split(_BETWEEN, 1)): Quarantined(**json.loads(entry))
            for where, entry in found.items()
        }

    async def change(self, change: Change, event: Event) -> bool:
        """``False``: somebody else changed it meanwhile, and nothing was done."""
        args: dict[str, str | int] = {
            "where": _BETWEEN.join(change.where),
            "before": change.before,
            "event": dump(event),
        }
        if change.now is None:
            reply = await self._scripts.run("end_quarantine", _AUDITED, args)
        else:
            args |= {"entry": dump(asdict(change.now)), "keep": _KEEP}
            reply = await self._scripts.run("quarantine", _AUDITED, args)
        return reply[0] == "ok"
