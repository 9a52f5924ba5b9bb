"""``countersign audit tail|export``. Both work on the store, a chunk of events at a time."""

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from service.cli.audit.on_store import on_store
from service.cli.audit.sealing import checkpoints_of
from service.cli.telnyx.calls import AsJson, fail

if TYPE_CHECKING:
    from service.store.connection import Connection
    from service.store.trail import Entry, Position, TrailStore

_LOOK_EVERY = 0.5  # seconds
_FLUSH_EVERY = 5_000  # events
_LAST_BYTES = 1024 * 1024


def tail(
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with what comes.")
    ] = True,
    since: Annotated[int, typer.Option(help="Begin so many seconds ago.", min=0)] = 60,
    as_json: AsJson = False,
) -> None:
    """Show events as they happen, in plain words. Needs REDIS_URL."""
    on_store(_tail(follow=follow, since=since, as_json=as_json))


def export(
    file: Annotated[
        Path, typer.Argument(help="Where to; it goes on where an earlier export ended.")
    ],
) -> None:
    """Write the whole trail to a file, one event (JSON, ECS names) a line. Needs REDIS_URL.

    Run it again to add what has come since, or to go on after an interruption: nothing is written twice.
    """
    on_store(_export(file))


async def _tail(*, follow: bool, since: int, as_json: bool) -> None:
    from service.cli.store import open_store
    from service.store.trail import Position, TrailStore

    async with open_store() as connection:
        trail = TrailStore(connection)
        until = await trail.now()
        last = Position(max(until - since * 1000, 0), 0, 0)
        while True:
            async for entry in trail.read(last, until):
                last = entry.position
                typer.echo(_dump(entry) if as_json else _in_words(entry))
            if not follow:
                return
            await asyncio.sleep(_LOOK_EVERY)
            until = await trail.now()


async def _export(path: Path) -> None:
    from service.cli.store import open_store
    from service.store.trail import START, TrailStore

    try:
        with path.open("a+b") as out:
            last, lines = _resume(path, out)
            async with open_store() as connection:
                trail = TrailStore(connection)
                written = await _write(trail, out, last or START, lines)
                await _write_checkpoints(connection, path)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    went_on = f" ({lines} were there)" if lines else ""
    typer.echo(f"{written} events written to {path}{went_on}", err=True)


async def _write(trail: "TrailStore", out: BinaryIO, after: "Position", lines: int) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    written, total = 0, max(await trail.count() - lines, 0)
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        async for entry in trail.read(after, await trail.now()):
            out.write(_dump(entry).encode() + b"\n")
            written += 1
            if written % _FLUSH_EVERY == 0:
                out.flush()
                progress.update(task, completed=written, total=max(total, written))
    out.flush()
    os.fsync(out.fileno())
    return written


async def _write_checkpoints(connection: "Connection", export: Path) -> None:
    """Beside the export: those that it does not have yet."""
    from service.store.chain import ChainStore
    from service.store.scripts import Scripts

    path = checkpoints_of(export)
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    numbers = {json.loads(line)["number"] for line in known}
    found = await ChainStore(connection, Scripts(connection)).checkpoints()
    new = [one.to_members() for one in found if one.number not in numbers]
    with path.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(members, separators=(",", ":")) + "\n" for members in new)


def _resume(path: Path, out: BinaryIO) -> "tuple[Position | None, int]":
    """Where an earlier export ended, and how many lines it wrote. A line that was torn is cut off."""
    from service.store.trail import read_position

    size = out.seek(0, os.SEEK_END)
    if size == 0:
        return None, 0
    start = max(size - _LAST_BYTES, 0)
    out.seek(start)
    end = out.read()
    whole = end.rfind(b"\n") + 1
    out.truncate(start + whole)
    *_, last = end[:whole].rstrip(b"\n").rpartition(b"\n")
    if not last:
        if start:
            fail(f"{path}: is no export of the audit trail: a line has no end")
        return None, 0
    try:
        partition, _, stream_id = json.loads(last)["id"].partition("-")
        position = read_position(f"{stream_id}-{partition}")
    except (ValueError, TypeError, KeyError):
        position = None
    if position is None:
        fail(f"{path}: is no export of the audit trail: its last line is no event")
    with path.open("rb") as found:
        return position, sum(1 for _ in found)


def _dump(entry: "Entry") -> str:
    return json.dumps(entry.to_line(), separators=(",", ":"), ensure_ascii=False)


def _in_words(entry: "Entry") -> str:
    from service.domain.explain import explain

    line = entry.to_line()
    event = json.loads(entry.original)
    names = ("app", "country", "masked", "verification")
    return "  ".join([line["at"], explain(event), *(str(line[n]) for n in names if n in line)])
