"""Counters by hour: exact ones in each partition, moved with the events that they come from, and their sums.

A partition's counters and its cursor change in one script, so an event counts once, whoever dies. The sum
of an hour is made anew from all partitions, so making it twice does no harm; it answers a question with one
read for each hour.
"""

import asyncio
import base64
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import zstandard

from service.domain.plan import Sender
from service.domain.stats import HOUR, Counted, Field, Increments, Row
from service.domain.stats_sums import SIZE, Sums, add
from service.domain.verification import Verification
from service.store import keys
from service.store.connection import Connection
from service.store.keys import VerificationKeys
from service.store.lead import Lead
from service.store.records import dump, load, pairs
from service.store.scripts import Call, Scripts
from service.store.trail import TrailStore

KEEP = 36 * 24 * HOUR
"""Milliseconds that an hour's sum is kept: the same hour of the last weeks can be compared."""
_CHANGES = 4 * 24 * HOUR
"""Milliseconds that an hour's counters are kept after their last change; what a report says that comes later
than that is in no sum."""
_TOGETHER = 16  # partitions
_FIELDS, _ROWS = 2_000, 100
"""How many are added up at a time: about a millisecond's work."""
_BETWEEN = "\x1f"
_REV = "rev"
_NONE: Mapping[str, int] = {}

T = TypeVar("T")

Rows = dict[Row, Sums]


class Detail(StrEnum):
    """What the rows of an hour's sum are: of verifications; of messages, whatever their carriers; and of
    messages by carrier too. The less is asked for, the faster it comes."""

    LOGINS = "logins"
    SENDERS = "senders"
    CARRIERS = "carriers"


@dataclass(frozen=True, slots=True)
class Page:
    """The next events of a partition: their JSON, in order, and where they begin and end."""

    partition: int
    cursor: str
    reached: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What a page comes to. ``counted``: what its verifications count for from now on, where that changed."""

    page: Page
    counted: dict[str, Counted]
    increments: dict[Field, int]

    def add(self, found: Increments) -> None:
        for field, by in found.items():
            self.increments[field] = self.increments.get(field, 0) + by


class StatsStore:
    """Cursors, counters and sums."""

    def __init__(
        self, connection: Connection, scripts: Scripts, senders: Mapping[str, Sender]
    ) -> None:
        self._connection = connection
        self._scripts = scripts
        self._senders = senders
        self._trail = TrailStore(connection)
        self.lead = Lead(connection, keys.STATS_LEASE)

    async def waiting(self) -> dict[int, str]:
        """The partitions that have events to count, and the cursor of each."""
        names = [f"{keys.prefix(partition)}st:cursor" for partition in range(keys.PARTITIONS)]
        found = await self._connection.commands([("GET", name) for name in names])
        cursors = {partition: cursor or "" for partition, cursor in enumerate(found)}
        return {
            partition: cursors[partition] for partition in await self._trail.following(cursors, 1)
        }

    async def pages(self, cursors: Mapping[int, str], most: int) -> list[Page]:
        """The next events of each of these partitions, so many at most."""
        found = await self._trail.following(cursors, most)
        return [
            Page(partition, cursors[partition], events[-1][0], tuple(event for _, event in events))
            for partition, events in found.items()
        ]

    async def records(self, ids: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Of the verifications that are still there."""
        batch = [("HGETALL", VerificationKeys(id_).record) for id_ in ids]
        replies = await self._connection.commands(batch)
        return {id_: pairs(flat) for id_, flat in zip(ids, replies, strict=True) if flat}

    def load(self, id_: str, record: Mapping[str, str]) -> tuple[Verification, Counted | None]:
        """A verification, and what it counted for."""
        before = record.get("counted")
        return load(id_, record, self._senders), Counted.load(before) if before else None

    async def count(self, changes: Sequence[Change]) -> bool:
        """Count each page once; ``False``: one was left out, because somebody else counted it meanwhile."""
        replies = await self._scripts.run_all([_to_call(change) for change in changes])
        return all(reply[0] == "ok" for reply in replies)

    async def dirty(self) -> dict[str, list[int]]:
        """The hours with counts that their sums lack, and in which partitions."""
        prefixes = [keys.prefix(partition) for partition in range(keys.PARTITIONS)]
        replies = await self._connection.commands([("SMEMBERS", f"{p}st:dirty") for p in prefixes])
        found: dict[str, list[int]] = defaultdict(list)
        for partition, hours in enumerate(replies):
            for hour in hours:
                found[hour].append(partition)
        return found

    async def sum(self, hour: str, partitions: Iterable[int]) -> int:
        """Make the sum of an hour anew; gives how many counters were added up. ``partitions``: where it is
        known to be wanting."""
        revs, count = list[str](), 0
        summed: dict[str, int] = {}
        for first in range(0, keys.PARTITIONS, _TOGETHER):
            some = range(first, min(first + _TOGETHER, keys.PARTITIONS))
            batch = [("HGETALL", f"{keys.prefix(partition)}st:{hour}") for partition in some]
            for flat in await self._connection.commands(batch):
                counters = pairs(flat)
                revs.append(counters.pop(_REV, ""))
                count += len(counters)
                async for fields in _slices(counters.items(), _FIELDS):
                    for name, by in fields:
                        summed[name] = summed.get(name, 0) + int(by)
        version = sum(int(rev or 0) for rev in revs)
        await self._scripts.run(
            "keep_sum",
            {"sum": keys.stats_sum(int(hour))},
            {"version": version, "keep": KEEP, **await _dump_sums(summed)},
        )
        await self._scripts.run_all(
            [
                Call(
                    "clean_hour",
                    {
                        "counters": f"{keys.prefix(partition)}st:{hour}",
                        "dirty": f"{keys.prefix(partition)}st:dirty",
                    },
                    {"hour": hour, "rev": revs[partition]},
                )
                for partition in partitions
            ]
        )
        return count

    async def hours(self, wanted: Iterable[int], detail: Detail) -> dict[int, Rows]:
        """The rows of each of those hours (since the epoch) that has any."""
        hours = list(wanted)
        texts = await self._read(hours, detail)
        # Of weeks it is a lot, and others wait for their logins.
        return await asyncio.to_thread(
            lambda: {
                hour: _load_rows([text]) for hour, text in zip(hours, texts, strict=True) if text
            }
        )

    async def together(self, wanted: Iterable[int], detail: Detail) -> Rows:
        """The rows of those hours, each the sum over all of them: much less work than each by itself."""
        texts = await self._read(list(wanted), detail)
        return await asyncio.to_thread(_load_rows, [text for text in texts if text])

    async def _read(self, hours: Sequence[int], detail: Detail) -> list[str | None]:
        replies = await self._connection.commands(
            [("HMGET", keys.stats_sum(hour), detail, "rows") for hour in hours]
        )
        return [
            (await _dump_earlier(earlier))[detail] if earlier and not rows else rows
            for rows, earlier in replies
        ]


def _to_call(change: Change) -> Call:
    prefix = keys.prefix(change.page.partition)
    by_hour: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for field, by in change.increments.items():
        by_hour[str(field.hour)].append((_name(field), by))
    return Call(
        "count_stats",
        {"cursor": f"{prefix}st:cursor", "dirty": f"{prefix}st:dirty"},
        {
            "prefix": prefix,
            "expected": change.page.cursor,
            "reached": change.page.reached,
            "keep": _CHANGES,
            "keep_cursor": KEEP,
            "records": dump([(id_, counted.dump()) for id_, counted in change.counted.items()]),
            "increments": dump(by_hour),
        },
    )


def _name(field: Field) -> str:
    row = field.row
    return _BETWEEN.join((row.app, row.country, row.sender, row.carrier, field.metric))


async def _dump_sums(summed: Mapping[str, int]) -> dict[str, str]:
    by_row: dict[Row, dict[str, int]] = defaultdict(dict)
    async for fields in _slices(summed.items(), _FIELDS):
        for name, by in fields:
            app, country, sender, carrier, metric = name.split(_BETWEEN)
            by_row[Row(app, country, sender, carrier)][metric] = by
    logins: Rows = {}
    carriers: Rows = {}
    senders: dict[Row, list[Sums]] = defaultdict(list)
    async for rows in _slices(sorted(by_row), _ROWS):
        for row in rows:
            sums = Sums.of(by_row[row])
            if row.sender:
                carriers[row] = sums
                senders[row._replace(carrier="")].append(sums)
            else:
                logins[row] = sums
    of_senders: Rows = {}
    async for some in _slices(senders.items(), _ROWS):
        of_senders |= {row: add(sums) for row, sums in some}
    dumped = {}
    for detail, found in zip(Detail, (logins, of_senders, carriers), strict=True):
        dumped[detail.value] = _dump_rows(found)
        await asyncio.sleep(0)
    return dumped


async def _slices(items: Iterable[T], size: int) -> AsyncIterator[list[T]]:
    """So many at a time; an hour's counters can be many, and others get their turn in between."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
        await asyncio.sleep(0)


def _dump_rows(rows: Rows) -> str:
    """Three lines: the numbers, mostly zeros, compressed; the rows' names; what has no place in numbers."""
    numbers = b"".join(sums.write() for sums in rows.values())
    packed = zstandard.ZstdCompressor(level=1).compress(numbers)
    others = {n: sums.others for n, sums in enumerate(rows.values()) if sums.others}
    return "\n".join((base64.b64encode(packed).decode(), dump(list(rows)), dump(others)))


def _load_rows(texts: Iterable[str]) -> Rows:
    """The sum of several. Where the names are the same, all their numbers are added as one."""
    by_names: dict[str, int] = defaultdict(int)
    others: dict[Row, Counter[str]] = defaultdict(Counter)
    for text in texts:
        packed, names, beside = text.split("\n")
        raw = zstandard.ZstdDecompressor().decompress(base64.b64decode(packed))
        by_names[names] += int.from_bytes(raw, "little")
        for n, metrics in json.loads(beside).items():
            others[_load_names(names)[int(n)]].update(metrics)
    numbers: dict[Row, int] = defaultdict(int)
    for names, number in by_names.items():
        rows = _load_names(names)
        raw = number.to_bytes(SIZE * len(rows), "little")
        for n, row in enumerate(rows):
            numbers[row] += int.from_bytes(raw[n * SIZE : (n + 1) * SIZE], "little")
    return {row: Sums(number, others.get(row, _NONE)) for row, number in numbers.items()}


@lru_cache(maxsize=64)
def _load_names(text: str) -> tuple[Row, ...]:
    """From one hour to the next they are mostly the same."""
    return tuple(Row(*names) for names in json.loads(text))


async def _dump_earlier(text: str) -> dict[str, str]:
    """As an earlier release kept an hour's sum, until it is made anew or ends."""
    rows: dict[str, dict[str, int]] = json.loads(text)
    return await _dump_sums(
        {f"{row}{_BETWEEN}{m}": by for row, metrics in rows.items() for m, by in metrics.items()}
    )
