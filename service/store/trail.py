"""Reading the audit trail: all partitions' streams as one, in the order of time, in bounded memory."""

import base64
import heapq
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.domain.chain import Head
from service.domain.ecs import Link, to_line
from service.store import keys
from service.store.connection import Connection
from service.store.records import pairs

CHUNK = 256
_CURSOR = re.compile(r"([0-9]{1,15})-([0-9]{1,19})-([0-9]{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where an event stands: milliseconds and number of its stream id, and its partition."""

    time: int
    number: int
    partition: int

    def __str__(self) -> str:
        return f"{self.stream_id}-{self.partition}"

    @property
    def stream_id(self) -> str:
        return f"{self.time}-{self.number}"


START = Position(0, 0, 0)


def read_position(text: str) -> Position | None:
    """A position that was written by ``str``; ``None`` for anything else."""
    match = _CURSOR.fullmatch(text)
    if match is None or int(match[3]) >= keys.PARTITIONS:
        return None
    return Position(*map(int, match.groups()))


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it is stored: its JSON, and its link once it is sealed."""

    position: Position
    original: str
    link: Link | None = None

    def to_line(self) -> dict[str, Any]:
        """As others read it."""
        position = self.position
        return to_line(position.partition, position.stream_id, self.original, self.link)


class TrailStore:
    """Reads; nobody but the scripts of the transitions writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def now(self) -> int:
        """A time (milliseconds) before which no further event can come: what is read up to it is whole,
        though others write meanwhile."""
        return await self._connection.time()

    async def count(self) -> int:
        """How many events there are."""
        batch = [("XLEN", _stream(partition)) for partition in range(keys.PARTITIONS)]
        return sum(await self._connection.commands(batch))

    async def following(
        self, cursors: Mapping[int, str], most: int
    ) -> dict[int, list[tuple[str, str]]]:
        """Of each partition the events (stream id and JSON) after its cursor, if it has any; an empty one is
        the start."""
        batch = [
            ("XRANGE", _stream(partition), f"({cursor}" if cursor else "-", "+", "COUNT", most)
            for partition, cursor in cursors.items()
        ]
        found = await self._connection.commands(batch)
        return {
            partition: _events(entries)
            for partition, entries in zip(cursors, found, strict=True)
            if entries
        }

    async def page(
        self, partition: int, after: str, until: str, most: int = 500
    ) -> list[tuple[str, str]]:
        """A partition's next events (stream id and JSON) behind one id, up to another."""
        begin = f"({after}" if after else "-"
        words = ("XRANGE", _stream(partition), begin, until, "COUNT", most)
        return _events(await self._connection.command(*words))

    def read(
        self,
        after: Position,
        until: int,
        partitions: Sequence[int] = range(keys.PARTITIONS),
        chunk: int = CHUNK,
        behind: Mapping[int, Head] | None = None,
    ) -> AsyncIterator[Entry]:
        """The events after a position (from the start: behind these heads of chains) and before a time, in
        order. At most ``chunk`` of each partition are held at once."""
        heads = behind if behind and after == START else {}
        return self._merge(
            [
                _Source(
                    p, _behind(heads[p]) if p in heads else _begin(p, after), f"({until}-0", chunk
                )
                for p in partitions
            ]
        )

    def between(self, heads: Mapping[int, Head], ends: Mapping[int, Head]) -> AsyncIterator[Entry]:
        """The events behind these heads of chains, up to those."""
        return self._merge(
            [
                _Source(p, _behind(heads[p]) if p in heads else "-", end.id, CHUNK)
                for p, end in ends.items()
            ]
        )

    async def _merge(self, of_partitions: Sequence["_Source"]) -> AsyncIterator[Entry]:
        sources = {source.partition: source for source in of_partitions}
        await self._fill(list(sources.values()))
        heap = [source.entries[0].position for source in sources.values() if source.entries]
        heapq.heapify(heap)
        while heap:
            source = sources[heap[0].partition]
            yield source.entries.popleft()
            if not source.entries and not source.ended:
                await self._fill([source])
            if source.entries:
                heapq.heapreplace(heap, source.entries[0].position)
            else:
                heapq.heappop(heap)

    async def _fill(self, sources: Sequence["_Source"]) -> None:
        """The next chunk of each, with its links."""
        replies = await self._connection.commands([source.command() for source in sources])
        filled = []
        for source, reply in zip(sources, replies, strict=True):
            source.take(reply)
            if source.entries:
                filled.append(source)
        pages = await self._connection.commands([c for s in filled for c in s.link_commands()])
        for source, inside, beyond in zip(filled, pages[::2], pages[1::2], strict=True):
            source.take_links([*inside, *beyond])


class _Source:
    """One partition's stream, read a chunk at a time."""

    def __init__(self, partition: int, begin: str, end: str, chunk: int) -> None:
        self.entries: deque[Entry] = deque()
        self.ended = False
        self.partition = partition
        self._from = begin
        self._end = end
        self._chunk = chunk

    def command(self) -> tuple[str | int, ...]:
        return ("XRANGE", _stream(self.partition), self._from, self._end, "COUNT", self._chunk)

    def take(self, reply: Sequence[tuple[str, Sequence[str]]]) -> None:
        for stream_id, fields in reply:
            time, number = stream_id.split("-")
            position = Position(int(time), int(number), self.partition)
            self.entries.append(Entry(position, pairs(fields)["event"]))
        self.ended = len(reply) < self._chunk
        if self.entries:
            self._from = f"({self.entries[-1].position.stream_id}"

    def link_commands(self) -> tuple[tuple[str | int, ...], ...]:
        """Pages of links are found by the id of their last event: those that end in this chunk, and the one
        that ends behind it."""
        first, last = (self.entries[at].position.stream_id for at in (0, -1))
        links = f"{keys.prefix(self.partition)}links"
        return (
            ("XRANGE", links, first, last, "COUNT", self._chunk),
            ("XRANGE", links, f"({last}", "+", "COUNT", 1),
        )

    def take_links(self, pages: Sequence[tuple[str, Sequence[str]]]) -> None:
        links: dict[str, Link] = {}
        for _, flat in pages:
            page = pairs(flat)
            hashes, first = base64.b64decode(page["hashes"]), int(page["first"])
            for n, stream_id in enumerate(page["ids"].split()):
                links[stream_id] = Link(first + n, hashes[32 * n : 32 * n + 32].hex())
        self.entries = deque(
            replace(entry, link=links.get(entry.position.stream_id)) for entry in self.entries
        )


def _events(entries: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, str]]:
    return [(stream_id, pairs(fields)["event"]) for stream_id, fields in entries]


def _begin(partition: int, after: Position) -> str:
    # Of events of one instant and number, those of lower partitions come first.
    passed = partition <= after.partition
    return f"({after.stream_id}" if passed and after != START else after.stream_id


def _behind(head: Head) -> str:
    return f"({head.id}"


def _stream(partition: int) -> str:
    return f"{keys.prefix(partition)}audit"
