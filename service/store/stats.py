"""Counters by hour: exact ones in each partition, moved with the events that they come from, and their sums.

A partition's counters and its cursor change in one script, so an event counts once, whoever dies. The sum
of an hour is made anew from all partitions, so making it twice does no harm; it answers a question with one
read for each hour.
"""

import asyncio
import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

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
_BETWEEN = "\x1f"
_REV = "rev"
_NONE: Mapping[str, int] = {}


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
    """What a page comes to. ``counted``: what its verifications count for from now on."""

    page: Page
    counted: Mapping[str, Counted]
    increments: Increments


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

    async def pages(self) -> list[Page]:
        """The next events of each partition that has any."""
        names = [f"{keys.prefix(partition)}st:cursor" for partition in range(keys.PARTITIONS)]
        found = await self._connection.commands([("GET", name) for name in names])
        cursors = [cursor or "" for cursor in found]
        return [
            Page(partition, cursors[partition], entries[-1][0], tuple(e for _, e in entries))
            for partition, entries in enumerate(await self._trail.following(cursors))
            if entries
        ]

    async def verifications(
        self, ids: Sequence[str]
    ) -> dict[str, tuple[Verification, Counted | None]]:
        """Those that are still there, with what they counted for."""
        batch = [("HGETALL", VerificationKeys(id_).record) for id_ in ids]
        found = {}
        for id_, flat in zip(ids, await self._connection.commands(batch), strict=True):
            if fields := pairs(flat):
                before = fields.get("counted")
                found[id_] = (
                    load(id_, fields, self._senders),
                    Counted.load(before) if before else None,
                )
        return found

    async def count(self, changes: Sequence[Change]) -> None:
        """Count each page once: one that somebody else counted meanwhile is left out."""
        if changes:
            await self._scripts.run_all([_to_call(change) for change in changes])

    async def dirty(self) -> dict[str, list[int]]:
        """The hours with counts that their sums lack, and in which partitions."""
        prefixes = [keys.prefix(partition) for partition in range(keys.PARTITIONS)]
        replies = await self._connection.commands([("SMEMBERS", f"{p}st:dirty") for p in prefixes])
        found: dict[str, list[int]] = defaultdict(list)
        for partition, hours in enumerate(replies):
            for hour in hours:
                found[hour].append(partition)
        return found

    async def sum(self, hour: str, partitions: Iterable[int]) -> None:
        """Make the sum of an hour anew. ``partitions``: where it is known to be wanting."""
        prefixes = [keys.prefix(partition) for partition in range(keys.PARTITIONS)]
        batch = [("HGETALL", f"{prefix}st:{hour}") for prefix in prefixes]
        counters = [pairs(flat) for flat in await self._connection.commands(batch)]
        version = sum(int(one.get(_REV, 0)) for one in counters)
        summed: Counter[str] = Counter()
        for one in counters:
            for name, by in one.items():
                if name != _REV:
                    summed[name] += int(by)
        await self._scripts.run(
            "keep_sum",
            {"sum": keys.stats_sum(int(hour))},
            {"version": version, "keep": KEEP, **_dump_sums(summed)},
        )
        await self._scripts.run_all(
            [
                Call(
                    "clean_hour",
                    {
                        "counters": f"{prefixes[partition]}st:{hour}",
                        "dirty": f"{prefixes[partition]}st:dirty",
                    },
                    {"hour": hour, "rev": counters[partition].get(_REV, "")},
                )
                for partition in partitions
            ]
        )

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
            _dump_earlier(earlier)[detail] if earlier and not rows else rows
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


def _dump_sums(summed: Mapping[str, int]) -> dict[str, str]:
    by_row: dict[Row, dict[str, int]] = defaultdict(dict)
    for name, by in summed.items():
        app, country, sender, carrier, metric = name.split(_BETWEEN)
        by_row[Row(app, country, sender, carrier)][metric] = by
    logins: Rows = {}
    carriers: Rows = {}
    senders: dict[Row, list[Sums]] = defaultdict(list)
    for row in sorted(by_row):
        sums = Sums.of(by_row[row])
        if row.sender:
            carriers[row] = sums
            senders[row._replace(carrier="")].append(sums)
        else:
            logins[row] = sums
    return {
        Detail.LOGINS: _dump_rows(logins),
        Detail.SENDERS: _dump_rows({row: add(some) for row, some in senders.items()}),
        Detail.CARRIERS: _dump_rows(carriers),
    }


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


def _dump_earlier(text: str) -> dict[str, str]:
    """As an earlier release kept an hour's sum, until it is made anew or ends."""
    rows: dict[str, dict[str, int]] = json.loads(text)
    return _dump_sums(
        {f"{row}{_BETWEEN}{m}": by for row, metrics in rows.items() for m, by in metrics.items()}
    )
