"""``countersign audit tail|export``. Both work on the store, a chunk of events at a time."""

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from service.cli.audit.files import checkpoints_of, read_beside, write_beside
from service.cli.audit.on_store import on_store
from service.cli.telnyx.calls import AsJson, fail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.store.connection import Connection
    from service.store.trail import Entry, Position

_LOOK_EVERY = 0.5  # seconds
_FLUSH_EVERY = 5_000  # events
_LONGEST = 1024 * 1024  # bytes of a line
_BEGINNING = b'{"@timestamp":'


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
    from service.store.archive import ArchiveStore
    from service.store.scripts import Scripts
    from service.store.trail import START, TrailStore

    try:
        with path.open("a+b") as out:
            last, lines = _resume(path, out)
            async with open_store() as connection:
                trail = TrailStore(connection)
                archive = await ArchiveStore(connection, Scripts(connection)).last()
                until = await trail.now()
                if last and archive and not archive.end.is_before(last.time + 1):
                    fail(f"{path}: events that follow it were archived since: begin another file")
                archived = archive.end.heads if archive else None
                entries = trail.read(last or START, until, behind=archived)
                total = max(await trail.count() - lines, 0)
                written = await _write(entries, out, total)
                await _write_checkpoints(connection, path, until)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    went_on = f" ({lines} were there)" if lines else ""
    typer.echo(f"{written} events written to {path}{went_on}", err=True)


async def _write(entries: "AsyncIterator[Entry]", out: BinaryIO, total: int) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    written = 0
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        async for entry in entries:
            out.write(dump_line(entry))
            written += 1
            if written % _FLUSH_EVERY == 0:
                out.flush()
                progress.update(task, completed=written, total=max(total, written))
    out.flush()
    os.fsync(out.fileno())
    return written


async def _write_checkpoints(connection: "Connection", export: Path, until: int) -> None:
    """Beside the export: those that it does not have yet. One that was signed meanwhile knows of events that
    the export does not have: it comes with them."""
    from service.store.archive import ArchiveStore
    from service.store.chain import ChainStore
    from service.store.scripts import Scripts

    path, scripts = checkpoints_of(export), Scripts(connection)
    known = read_beside(path).checkpoints if path.exists() else ()
    archive = await ArchiveStore(connection, scripts).last()
    first = [archive.end] if archive is not None else []
    numbers = {one.number for one in known}
    found = [*first, *(await ChainStore(connection, scripts).kept())]
    new = {one.number: one for one in found if one.number not in numbers and one.is_before(until)}
    behind = archive.end.number if archive is not None else None
    write_beside(path, [new[number] for number in sorted(new)], behind)


def _resume(path: Path, out: BinaryIO) -> "tuple[Position | None, int]":
    """Where an earlier export ended, and how many lines it wrote. A line that was torn is cut off; so is what
    follows the first that was not sealed, and comes again with its link."""
    from service.store.trail import read_position

    lines, size, last = 0, 0, b""
    out.seek(0)
    for line in iter(lambda: out.readline(_LONGEST), b""):
        torn = not line.endswith(b"\n")
        if not (line.startswith(_BEGINNING) or (torn and _BEGINNING.startswith(line))):
            fail(f"{path}: is no export of the audit trail: line {lines + 1} is no event")
        if torn or b'"sealed":false' in line:
            break
        lines, size, last = lines + 1, size + len(line), line
    position = None
    if last:
        try:
            partition, _, stream_id = json.loads(last)["id"].partition("-")
            position = read_position(f"{stream_id}-{partition}")
        except (ValueError, TypeError, KeyError):
            position = None
        if position is None:
            fail(f"{path}: is no export of the audit trail: its last line is no event")
    out.truncate(size)
    return position, lines


def dump_line(entry: "Entry") -> bytes:
    return _dump(entry).encode() + b"\n"


def _dump(entry: "Entry") -> str:
    return json.dumps(entry.to_line(), separators=(",", ":"), ensure_ascii=False)


def _in_words(entry: "Entry") -> str:
    from service.domain.explain import explain

    line = entry.to_line()
    event = json.loads(entry.original)
    names = ("app", "country", "masked", "verification")
    return "  ".join([line["at"], explain(event), *(str(line[n]) for n in names if n in line)])
