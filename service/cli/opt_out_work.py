"""What ``countersign opt-outs`` does, over the store and the account."""

import asyncio
import csv
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.opt_out_csv import (
    COLUMNS,
    EXPORTED,
    BadLine,
    FileError,
    Row,
    read_rows,
    store_mark,
    write_row,
)
from service.cli.output import print_json, print_table
from service.clock import SystemClock
from service.domain import audit
from service.domain.audit import EventType
from service.domain.keyring import Keyring
from service.domain.opt_out_scope import Scopes, is_scope
from service.domain.recipient import InvalidNumberError, is_e164, mask, parse_recipient
from service.flow.opt_out_sync import OptOutSync
from service.settings import load_settings
from service.store.connection import Connection
from service.store.lookup import open_keyring
from service.store.opt_out_sync import LEASE, OptOutSyncStore, Run
from service.store.recipients import OptOut, RecipientStore
from service.store.scripts import Scripts
from service.store.setup import check_setup
from service.telnyx.account import TelnyxAccount

_ACTOR = "operator"
_AT_ONCE = 500
_MOST_BAD_LINES = 20
_AGAIN = 1.0


class OptOutCommandError(Exception):
    """The command cannot be carried out; the message says why."""


@asynccontextmanager
async def open_work(config: Path | None) -> AsyncIterator["OptOutWork"]:
    """The store and the account of the configuration.

    Raises:
        SettingsError, StoreSetupError, UnavailableError: they cannot be used.
    """
    settings = load_settings(config)
    clock = SystemClock()
    account = TelnyxAccount(settings.telnyx(), clock)
    connection = await Connection.open(settings.redis_url.get_secret_value(), settings.tls())
    try:
        await check_setup(connection)
        keyring = await open_keyring(connection, settings.keyring(), clock.now())
        yield OptOutWork(connection, account, keyring, settings.opt_out_scopes(), clock)
    finally:
        await connection.close()
        await account.close()


class OptOutWork:
    """The commands."""

    def __init__(
        self,
        connection: Connection,
        account: TelnyxAccount,
        keyring: Keyring,
        scopes: Scopes,
        clock: SystemClock,
    ) -> None:
        scripts = Scripts(connection)
        self._recipients = RecipientStore(connection, scripts)
        self._keyring = keyring
        self._clock = clock
        self._sync = OptOutSync(
            store=OptOutSyncStore(connection, scripts),
            account=account,
            keyring=keyring,
            scopes=scopes,
            clock=clock,
        )

    async def list_all(self, *, as_json: bool) -> None:
        rows: list[tuple[str, ...]] = []
        async for recipient, entry in self._all():
            shown = write_row(recipient, entry)
            if as_json:
                print_json(dict(zip(COLUMNS, shown, strict=True)))
            else:
                rows.append(shown[1:])
        if not as_json:
            print_table(COLUMNS[1:], rows)

    async def get(self, number: str, *, as_json: bool) -> None:
        recipient = self._keyring.lookup_id(_number(number))
        found = await self._recipients.opt_outs_of(recipient)
        if not found:
            raise OptOutCommandError("there is no opt-out of this number")
        shown = [write_row(recipient, entry) for entry in found]
        if as_json:
            for row in shown:
                print_json(dict(zip(COLUMNS, row, strict=True)))
        else:
            print_table(COLUMNS[1:], [row[1:] for row in shown])

    async def add(self, number: str, scope: str) -> None:
        _check_scope(scope)
        recipient = self._keyring.lookup_id(_number(number))
        entry = OptOut(mask(number), self._clock.now(), "api", scope)
        # A worker goes on with what it stops: it is due at once.
        stopped = await self._recipients.opt_out(recipient, entry, actor=_ACTOR)
        print(f"{entry.masked} is opted out{'' if stopped is not None else ' already'} ({scope})")

    async def lift(self, number: str, scope: str) -> None:
        _check_scope(scope)
        recipient = self._keyring.lookup_id(_number(number))
        event = audit.of_opt_out(
            EventType.OPT_OUT_LIFTED,
            recipient,
            mask(number),
            self._clock.now(),
            actor=_ACTOR,
            source="api",
        )
        if not await self._recipients.opt_in(recipient, [scope], event):
            raise OptOutCommandError(
                f"there is no opt-out of this number under {scope}; see: countersign opt-outs get"
            )
        print(f"the opt-out of {mask(number)} is lifted ({scope})")

    async def export(self, path: Path | None) -> None:
        with _output(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(EXPORTED)
            mark = store_mark(self._keyring.lookup_id)
            async for recipient, entry in self._all():
                writer.writerow((*write_row(recipient, entry), mark))

    async def import_(self, path: Path, *, as_json: bool) -> None:
        counts = {"lines": 0, "recorded": 0, "known": 0, "bad": 0}
        with _input(path) as file, _bar("Importing", unit="bytes") as bar:
            task = bar.add_task("", total=max(os.fstat(file.fileno()).st_size, 1))
            rows = read_rows(file, self._keyring.lookup_id, self._clock.now())
            while batch := list(islice(rows, _AT_ONCE)):
                found = [row for row in batch if not isinstance(row, BadLine)]
                self._complain(batch, counts["bad"])
                recorded = await self._record(found)
                counts["lines"] += len(batch)
                counts["recorded"] += recorded
                counts["known"] += len(found) - recorded
                counts["bad"] += len(batch) - len(found)
                bar.update(task, completed=os.lseek(file.fileno(), 0, os.SEEK_CUR))
        _summary(counts, as_json=as_json)
        if counts["bad"]:
            raise OptOutCommandError(
                f"{counts['bad']} line(s) were left out: mend them and import the file again"
            )

    async def _record(self, found: list[Row]) -> int:
        return await self._recipients.record_all(found, actor=_ACTOR, now=self._clock.now())

    def _complain(self, batch: list[Row | BadLine], before: int) -> None:
        bad = [row for row in batch if isinstance(row, BadLine)]
        for row in bad[: max(_MOST_BAD_LINES - before, 0)]:
            print(f"line {row.number}: {row.why}", file=sys.stderr)

    async def sync(self, *, as_json: bool) -> None:
        with _bar("Syncing", unit="pages") as bar:
            task = bar.add_task("", total=None)

            def show(run: Run) -> None:
                pages = -(-run.total // 250)
                bar.update(task, total=max(pages, 1), completed=run.page - 1)

            counts = await self._sync(show)
            patience = 2 * LEASE / 1000
            while counts is None and patience > 0:
                # A worker is at it, or one died within the last seconds and its lease still holds.
                await asyncio.sleep(_AGAIN)
                patience -= _AGAIN
                counts = await self._sync(show)
        if counts is None:
            raise OptOutCommandError("another process is syncing; its log says how it ends")
        _summary(asdict(counts), as_json=as_json)

    async def _all(self) -> AsyncIterator[Row]:
        cursor: tuple[int, int] | None = (0, 0)
        while cursor is not None:
            page = await self._recipients.list_opt_outs(cursor, _AT_ONCE)
            for row in zip(page.recipients, page.items, strict=True):
                yield row
            cursor = page.next


def _number(text: str) -> str:
    try:
        return parse_recipient(text).e164
    except InvalidNumberError as error:
        if is_e164(text):  # Telnyx's list may have numbers that our tables do not know yet.
            return text
        raise OptOutCommandError(f"the number {error}") from None


def _check_scope(scope: str) -> None:
    if not is_scope(scope):
        raise OptOutCommandError("--scope must be *, app:<name> or profile:<id>")


@contextmanager
def _input(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise OptOutCommandError(f"{path} cannot be read: {error.strerror}") from None
    except FileError as error:
        raise OptOutCommandError(f"{path}: {error}") from None


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """The file, whole or not at all, readable by its owner only: look-up digests are linkable."""
    if path is None:
        yield sys.stdout
        return
    new = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        new.replace(path)
    except OSError as error:
        raise OptOutCommandError(f"{path} cannot be written: {error.strerror}") from None


def _bar(label: str, *, unit: str) -> Progress:
    """Shown on a terminal only, and on standard error, so that --json stays clean."""
    console = Console(stderr=True)
    return Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _summary(counts: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        print(", ".join(f"{name.replace('_', ' ')}: {value:,}" for name, value in counts.items()))
