"""The chains' heads, the links of what is sealed, and the checkpoints."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.chain import FIRST, Checkpoint, Head, extend, links, read_checkpoint
from service.store import keys
from service.store.archive import ArchiveStore
from service.store.connection import Connection
from service.store.lead import Lead
from service.store.migrations.state import MigrationStore
from service.store.records import dump, pairs
from service.store.scripts import Call, Scripts
from service.store.trail import TrailStore

MOST_CHECKPOINTS = 1_500
"""A day's, at one a minute; of earlier days the first is kept."""
PAGE = 64
"""How many events of a partition are read at once."""
_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Events of a partition (stream id and JSON) that follow its head."""

    partition: int
    head: Head
    events: Sequence[tuple[str, str]]


class ChainStore:
    """Seals, and keeps checkpoints."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts
        self._trail = TrailStore(connection)
        self._migrations = MigrationStore(connection, scripts)
        self.lead = Lead(connection, keys.SEAL_LEASE)

    async def heads(self) -> dict[int, Head]:
        """The head of each partition that has sealed events."""
        batch = [("HGETALL", f"{keys.prefix(p)}chain") for p in range(keys.PARTITIONS)]
        found = map(pairs, await self._connection.commands(batch))
        return {
            partition: Head(int(fields["sequence"]), fields["id"], fields["hash"])
            for partition, fields in enumerate(found)
            if fields
        }

    async def waiting(self) -> dict[int, Head]:
        """The partitions that have events to seal, and the head of each; none before they have their last
        form."""
        if not await self._migrations.is_done():
            return {}
        found = await self.heads()
        heads = {partition: found.get(partition, FIRST) for partition in range(keys.PARTITIONS)}
        cursors = {partition: head.id for partition, head in heads.items()}
        return {
            partition: heads[partition] for partition in await self._trail.following(cursors, 1)
        }

    async def unsealed(self, heads: Mapping[int, Head], most: int) -> list[Unsealed]:
        """The next events of each of these partitions, so many at most."""
        cursors = {partition: head.id for partition, head in heads.items()}
        found = await self._trail.following(cursors, most)
        return [
            Unsealed(partition, heads[partition], events) for partition, events in found.items()
        ]

    async def seal(self, pages: Sequence[Unsealed]) -> dict[int, Head]:
        """Add their links; gives the heads that come of it, by partition. A page that somebody else sealed
        meanwhile is left out."""
        links_of = [links(page.head, page.partition, page.events) for page in pages]
        calls = [_to_call(page, found) for page, found in zip(pages, links_of, strict=True)]
        replies = await self._scripts.run_all(calls)
        return {
            page.partition: _head(page, found)
            for page, found, reply in zip(pages, links_of, replies, strict=True)
            if reply[0] == "ok"
        }

    async def leads_to(self, partition: int, begin: Head, end: Head) -> bool:
        """Whether the events that are there, and nothing else, make one head of the other."""
        head = begin
        while head.sequence < end.sequence:
            events = await self._trail.page(partition, head.id, end.id)
            if not events:
                return False
            head = extend(head, partition, events)
        return head == end

    async def rewind(self, partition: int, end: Head, to: Head) -> bool:
        """Set a chain back that ended at ``end``; ``False``: it does not end there any more."""
        reply = await self._scripts.run(
            "rewind",
            _names(partition),
            {
                "expected_hash": end.hash if end.sequence else "",
                "sequence": to.sequence,
                "hash": to.hash,
                "reached": to.id,
            },
        )
        return reply[0] == "ok"

    async def newest_left(self, partition: int, signed: Sequence[Checkpoint]) -> Head:
        """The newest head that these checkpoints (oldest first) sign and whose event is still there, or in an
        archive; else the chain's beginning."""
        archive = await ArchiveStore(self._connection, self._scripts).last()
        archived = archive.end.heads.get(partition, FIRST) if archive is not None else FIRST
        name = f"{keys.prefix(partition)}audit"
        for checkpoint in reversed(signed):
            head = checkpoint.heads.get(partition, FIRST)
            if head.sequence <= archived.sequence:
                break
            if await self._connection.command("XRANGE", name, head.id, head.id):
                return head
        return archived

    async def last_checkpoint(self) -> Checkpoint | None:
        found = await self._connection.command("XREVRANGE", keys.CHECKPOINTS, "+", "-", "COUNT", 1)
        return _load(found)[0] if found else None

    async def kept(self) -> list[Checkpoint]:
        """All that there are since the last archive, oldest first: one of each day, and the newest."""
        found = _load(await self._connection.command("XRANGE", keys.DAILY_CHECKPOINTS, "-", "+"))
        by_number = {one.number: one for one in (*found, *await self.checkpoints())}
        return [by_number[number] for number in sorted(by_number)]

    async def checkpoints(self, most: int = MOST_CHECKPOINTS) -> list[Checkpoint]:
        """The newest ones, oldest first."""
        found = await self._connection.command(
            "XREVRANGE", keys.CHECKPOINTS, "+", "-", "COUNT", most
        )
        return _load(found)[::-1]

    async def add(self, checkpoint: Checkpoint) -> bool:
        """``False``: somebody else added one of this number."""
        reply = await self._scripts.run(
            "add_checkpoint",
            {"checkpoints": keys.CHECKPOINTS, "daily": keys.DAILY_CHECKPOINTS},
            {
                "number": checkpoint.number,
                "day": checkpoint.at // _DAY,
                "checkpoint": dump(checkpoint.to_members()),
                "most": MOST_CHECKPOINTS,
            },
        )
        return reply[0] == "ok"


def _load(found: Sequence[tuple[str, Sequence[str]]]) -> list[Checkpoint]:
    return [read_checkpoint(json.loads(pairs(fields)["checkpoint"])) for _, fields in found]


def _head(page: Unsealed, found: Sequence[bytes]) -> Head:
    return Head(page.head.sequence + len(found), page.events[-1][0], found[-1].hex())


def _to_call(page: Unsealed, found: Sequence[bytes]) -> Call:
    head = _head(page, found)
    return Call(
        "seal",
        _names(page.partition),
        {
            "expected": page.head.sequence,
            "expected_hash": page.head.hash,
            "sequence": head.sequence,
            "hash": head.hash,
            "reached": head.id,
            "ids": " ".join(id_ for id_, _ in page.events),
            "hashes": base64.b64encode(b"".join(found)).decode(),
        },
    )


def _names(partition: int) -> dict[str, str]:
    prefix = keys.prefix(partition)
    return {"chain": f"{prefix}chain", "links": f"{prefix}links"}
