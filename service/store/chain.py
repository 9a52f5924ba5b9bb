"""The chains' heads, the links of what is sealed, and the checkpoints."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.chain import FIRST, Checkpoint, Head, link, read_checkpoint
from service.store import keys
from service.store.connection import Connection
from service.store.lead import Lead
from service.store.migrations.state import MigrationStore
from service.store.records import dump, pairs
from service.store.scripts import Call, Scripts
from service.store.trail import TrailStore

MOST_CHECKPOINTS = 1_500
"""A day's, at one a minute; of earlier days the first is kept."""
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

    async def unsealed(self) -> list[Unsealed]:
        """The next events of each partition that has any; none before they have their last form."""
        if not await self._migrations.is_done():
            return []
        heads = await self.heads()
        by_partition = [heads.get(partition, FIRST) for partition in range(keys.PARTITIONS)]
        found = await self._trail.following([head.id for head in by_partition])
        return [
            Unsealed(partition, by_partition[partition], events)
            for partition, events in enumerate(found)
            if events
        ]

    async def seal(self, pages: Sequence[Unsealed]) -> None:
        """Add their links; a page that somebody else sealed meanwhile is left out."""
        await self._scripts.run_all([_to_call(page) for page in pages])

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


def _to_call(page: Unsealed) -> Call:
    prefix, hashes = keys.prefix(page.partition), bytes.fromhex(page.head.hash)
    links = []
    for stream_id, original in page.events:
        hashes = link(hashes, page.partition, stream_id, original)
        links.append(hashes)
    names: Mapping[str, str] = {"chain": f"{prefix}chain", "links": f"{prefix}links"}
    return Call(
        "seal",
        names,
        {
            "expected": page.head.sequence,
            "sequence": page.head.sequence + len(page.events),
            "hash": hashes.hex(),
            "reached": page.events[-1][0],
            "ids": " ".join(stream_id for stream_id, _ in page.events),
            "hashes": base64.b64encode(b"".join(links)).decode(),
        },
    )
