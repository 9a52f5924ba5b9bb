"""Layout 1 named persons in the audit trail by their look-up ids: nothing could make an event nobody's.

A stream's entries cannot be changed, so a partition's trail is copied into a stream beside it, a batch at
a time, under the same ids; with the last batch the copy takes its place. Readers see one or the other, and
those who append never notice. It takes the room of one partition's trail at a time.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence

from service.domain.pseudonym import propose
from service.store import keys
from service.store.connection import Connection
from service.store.records import dump, pairs
from service.store.scripts import Scripts

NAME = "pseudonyms"
BATCH = 200
"""Events in one script: about a millisecond of Redis' time."""

_Entries = Sequence[tuple[str, Mapping[str, str]]]


async def run(connection: Connection, scripts: Scripts) -> AsyncGenerator[int, None]:
    """Pass all partitions, from where each was found to be in order the last time."""
    for partition in range(keys.PARTITIONS):
        async for moved in _pass(connection, scripts, partition):
            yield moved


async def _pass(
    connection: Connection, scripts: Scripts, partition: int
) -> AsyncGenerator[int, None]:
    mark, audit = f"{NAME}:{partition:02d}", f"{keys.prefix(partition)}audit"
    reached = str(await connection.command("HGET", keys.META, mark) or "0-0")
    while True:
        entries = await _read(connection, audit, reached)
        if any(_is_old(fields) for _, fields in entries):
            ended = False
            while not ended:
                reached, moved, ended = await _move(connection, scripts, audit)
                yield moved
        elif entries:
            reached = entries[-1][0]
        await connection.command("HSET", keys.META, mark, reached)
        if len(entries) < BATCH:
            return
        yield 0


async def _move(connection: Connection, scripts: Scripts, audit: str) -> tuple[str, int, bool]:
    """Copy the next batch. Gives where it ends, how many events changed, and whether the copy is in place."""
    moved = f"{audit}:moved"
    last = await connection.command("XREVRANGE", moved, "+", "-", "COUNT", 1)
    before = last[0][0] if last else "0-0"
    entries = await _read(connection, audit, before)
    old = [json.loads(fields["event"]) for _, fields in entries if _is_old(fields)]
    persons = {event["recipient"] for event in old if event.get("recipient")}
    until = entries[-1][0] if entries else before
    reply = await scripts.run(
        "move_events",
        {"audit": audit, "moved": moved},
        {
            "before": before,
            "upto": until,
            "proposed": dump({id_: propose(id_).partition(".")[2] for id_ in persons}),
        },
    )
    return until, len(old), reply[0] == "ended"


async def _read(connection: Connection, audit: str, after: str) -> _Entries:
    found = await connection.command("XRANGE", audit, f"({after}", "+", "COUNT", BATCH)
    return [(id_, pairs(fields)) for id_, fields in found]


def _is_old(fields: Mapping[str, str]) -> bool:
    return "form" not in fields
