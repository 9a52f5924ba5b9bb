"""``countersign audit archive``: what is older goes into a file that is verified, and only then is dropped.

At any instant it may die: the next run finds what was recorded and goes on from there.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.audit.files import COMPRESSED, checkpoints_of, write_beside
from service.cli.audit.on_store import on_store
from service.cli.audit.reading import dump_line
from service.cli.audit.sealing import sign
from service.cli.audit.verifying import check_files
from service.cli.telnyx.calls import fail

if TYPE_CHECKING:
    from nacl.signing import VerifyKey

    from service.domain.chain import Checkpoint, Head
    from service.domain.keyring import Keyring
    from service.store.archive import Archive
    from service.store.connection import Connection

_DAY = 86_400_000
_UNFINISHED = f"unfinished.ndjson{COMPRESSED}"


def archive(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Where archives are kept.", exists=True, file_okay=False, writable=True
        ),
    ],
    keep: Annotated[int, typer.Option(help="Days that stay in Redis.", min=0)] = 90,
) -> None:
    """Move events older than --keep days into a file (NDJSON, zstd) of FOLDER, which is verified first.

    It ends at a signed checkpoint, so both the archive and what stays can be checked: audit verify.
    Run it once a day. Needs REDIS_URL and COUNTERSIGN_KEYS.
    """
    on_store(_archive(folder, keep * _DAY))


async def _archive(folder: Path, keep: int) -> None:
    from service.cli.store import open_store
    from service.clock import SystemClock
    from service.domain.chain import trusted_keys
    from service.settings import load_keyring
    from service.store.archive import ArchiveStore
    from service.store.chain import ChainStore
    from service.store.scripts import Scripts

    keyring = load_keyring()
    async with open_store() as connection:
        scripts = Scripts(connection)
        archives, chain = ArchiveStore(connection, scripts), ChainStore(connection, scripts)
        last = await archives.last()
        if last is not None and await archives.left(last.end.heads):
            _finish(folder, last.file)
            await archives.drop(last.end.heads)
        before = SystemClock().now() - keep
        begin = last.end.number if last is not None else 0
        kept = await chain.kept()
        old = [one for one in kept if begin < one.number and one.at <= before]
        if not old:
            typer.echo("Nothing is old enough.")
            return
        if not await archives.counted(old[-1].heads):
            fail("statistics have not counted all of it yet: let a worker run, then try again")
        keys = trusted_keys(kept, _public_keys(keyring))
        made, events = await _write(connection, folder, last, old, keys)
        event = _event(folder, made, events, SystemClock().now(), keyring)
        if not await archives.record(made, last, event):
            fail("another process archived meanwhile: nothing was dropped")
        _finish(folder, made.file)
        await archives.drop(made.end.heads)
        # What says that it was archived is itself sealed, so that an export can be checked at once.
        await sign(connection, keyring)
    typer.echo(f"{events} events are in {folder / made.file}.")


async def _write(
    connection: "Connection",
    folder: Path,
    last: "Archive | None",
    checkpoints: "list[Checkpoint]",
    keys: "list[VerifyKey]",
) -> "tuple[Archive, int]":
    """The file as it will be, under another name; checked as its readers check it."""
    import zstandard

    from service.domain.chain_check import TamperedError
    from service.store.archive import Archive
    from service.store.trail import TrailStore

    end, begin = checkpoints[-1], last.end if last is not None else None
    number = begin.number if begin is not None else 0
    made = Archive(f"audit-{number:08d}-{end.number:08d}.ndjson{COMPRESSED}", end)
    path = folder / _UNFINISHED
    beside = checkpoints_of(path)
    beside.unlink(missing_ok=True)
    heads: Mapping[int, Head] = begin.heads if begin is not None else {}
    with path.open("wb") as out:
        with zstandard.ZstdCompressor().stream_writer(out, closefd=False) as lines:
            async for entry in TrailStore(connection).between(heads, end.heads):
                lines.write(dump_line(entry))
        out.flush()
        os.fsync(out.fileno())
    signed = [*([begin] if begin is not None else []), *checkpoints]
    write_beside(beside, signed, begin.number if begin is not None else None)
    try:
        check = check_files([path], signed, keys, number or None, known=number)
    except TamperedError as error:
        fail(f"the trail is NOT as it was sealed, so nothing was dropped. {error}")
    return made, check.sealed


def _event(
    folder: Path, made: "Archive", events: int, now: int, keyring: "Keyring"
) -> dict[str, object]:
    from service.domain.audit import of_archive
    from service.domain.chain import sign_archive

    with (folder / _UNFINISHED).open("rb") as content:
        digest = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    number = made.end.number
    signature = sign_archive(keyring.audit_seed(keyring.newest), number, digest)
    return of_archive(number, made.file, digest, events, now, signature=signature)


def _finish(folder: Path, name: str) -> None:
    """Give a recorded archive its name, unless it has it."""
    path = folder / _UNFINISHED
    if path.exists():
        # The file itself last, as the sign that both are there.
        if checkpoints_of(path).exists():
            checkpoints_of(path).rename(checkpoints_of(folder / name))
        path.rename(folder / name)
    elif not (folder / name).exists():
        fail(f"{folder / name}: is missing. What it holds is still in Redis: put it back first")


def _public_keys(keyring: "Keyring") -> "list[VerifyKey]":
    from nacl.signing import VerifyKey

    from service.domain.chain import audit_public_keys

    return [VerifyKey(bytes.fromhex(key)) for key in audit_public_keys(keyring).values()]
