"""What was looked up of recipients' lines, for a while: each look-up costs money."""

import json

from service.domain.line import Line, dump_line, load_line
from service.store.connection import Connection
from service.store.keys import RecipientKeys
from service.store.records import dump


class LineStore:
    """``keep``: milliseconds. By the recipient's look-up id; type and day of porting, nothing else."""

    def __init__(self, connection: Connection, keep: int) -> None:
        self._connection = connection
        self._keep = keep

    async def get(self, recipient_id: str) -> Line | None:
        found = await self._connection.command("GET", RecipientKeys(recipient_id).line)
        return load_line(json.loads(found)) if isinstance(found, str) else None

    async def put(self, recipient_id: str, line: Line) -> None:
        key = RecipientKeys(recipient_id).line
        await self._connection.command("SET", key, dump(dump_line(line)), "PX", self._keep)
