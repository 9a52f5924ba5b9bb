"""What of the trail went into archives, and is dropped here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.audit import Event
from service.domain.chain import Checkpoint, Head, read_checkpoint
from service.store import keys
from service.store.connection import Connection
from service.store.records import dump, pairs
from service.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Archive:
    """The last one: its file's name, and the checkpoint whose heads are its last events."""

    file: str
    end: Checkpoint


class ArchiveStore:
    """Nothing is dropped before it is recorded as archived."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    async def last(self) -> Archive | None:
        found = pairs(await self._connection.command("HGETALL", keys.ARCHIVED))
        if not found:
            return None
        members: dict[str, Any] = json.loads(found["archive"])
        return Archive(members["file"], read_checkpoint(members["end"]))

    async def record(self, archive: Archive, before: Archive | None, event: Event) -> bool:
        """``False``: somebody else archived meanwhile."""
        reply = await self._scripts.run(
            "record_archive",
            {
                "archived": keys.ARCHIVED,
                "daily": keys.DAILY_CHECKPOINTS,
                "audit": f"{keys.prefix(0)}audit",
            },
            {
                "expected": before.end.number if before is not None else 0,
                "number": archive.end.number,
                "archive": dump({"file": archive.file, "end": archive.end.to_members()}),
                "event": dump(event),
            },
        )
        return reply[0] == "ok"

    async def left(self, heads: Mapping[int, Head]) -> bool:
        """Whether some of the events up to these heads are still here."""
        batch = [
            ("XRANGE", f"{keys.prefix(partition)}audit", "-", head.id, "COUNT", 1)
            for partition, head in heads.items()
        ]
        return any(await self._connection.commands(batch))

    async def drop(self, heads: Mapping[int, Head]) -> None:
        """Drop the events up to these heads, with their links."""
        batch: list[tuple[str, ...]] = []
        for partition, head in heads.items():
            time, _, number = head.id.partition("-")
            following = f"{time}-{int(number) + 1}"
            for stream in ("audit", "links"):
                name = f"{keys.prefix(partition)}{stream}"
                batch.append(("XTRIM", name, "MINID", following))
        await self._connection.commands(batch)

    async def counted(self, heads: Mapping[int, Head]) -> bool:
        """Whether statistics know all events up to these heads."""
        batch = [("GET", f"{keys.prefix(partition)}st:cursor") for partition in heads]
        cursors = await self._connection.commands(batch)
        return all(
            cursor and _order(cursor) >= _order(head.id)
            for cursor, head in zip(cursors, heads.values(), strict=True)
        )


def _order(stream_id: str) -> tuple[int, int]:
    time, _, number = stream_id.partition("-")
    return int(time), int(number)
