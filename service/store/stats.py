"""Counters by hour: exact ones in each partition, moved with the events that they come from, and their sums.

A partition's counters and its cursor change in one script, so an event counts once, whoever dies. The sum
of an hour is made anew from all partitions, so making it twice does no harm; it answers a question with one
read for each hour.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.plan import Sender
from service.domain.stats import HOUR, Counted, Field, Increments, Row, Rows
from service.domain.verification import Verification
from service.store import keys
from service.store.connection import Connection
from service.store.keys import VerificationKeys
from service.store.lead import Lead
from service.store.records import dump, load, pairs
from service.store.scripts import Call, Scripts
from service.store.trail import TrailStore

KEEP = 36 * 24 * HOUR
"""Milliseconds that an hour's counters are kept: the same hour of the last weeks can be compared."""
_BETWEEN = "\x1f"
_REV = "rev"


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
            {"version": version, "rows": _dump_rows(summed), "keep": KEEP},
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

    async def hours(self, first: int, last: int) -> dict[int, Rows]:
        """The rows of each hour (hours since the epoch, both included) that has any."""
        wanted = range(first, last + 1)
        replies = await self._connection.commands(
            [("HGET", keys.stats_sum(hour), "rows") for hour in wanted]
        )
        return {hour: _load_rows(rows) for hour, rows in zip(wanted, replies, strict=True) if rows}


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
            "keep": KEEP,
            "records": dump([(id_, counted.dump()) for id_, counted in change.counted.items()]),
            "increments": dump(by_hour),
        },
    )


def _name(field: Field) -> str:
    row = field.row
    return _BETWEEN.join((row.app, row.country, row.sender, row.carrier, field.metric))


def _dump_rows(summed: Mapping[str, int]) -> str:
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    for name, by in summed.items():
        if by:
            row, _, metric = name.rpartition(_BETWEEN)
            rows[row][metric] = by
    return dump(rows)


def _load_rows(text: str) -> Rows:
    return {Row(*name.split(_BETWEEN)): metrics for name, metrics in json.loads(text).items()}
