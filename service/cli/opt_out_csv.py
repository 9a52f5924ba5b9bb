"""Opt-outs as CSV.

| column | in an export | in an import |
| --- | --- | --- |
| ``number`` | never: it cannot be read back from the store | E.164; this or ``recipient`` |
| ``recipient`` | the look-up digest, 32 hexadecimal digits | good in the store that it came from |
| ``masked`` | ``+1********00`` | with ``recipient`` |
| ``scope`` | ``*``, ``app:<name>`` or ``profile:<id>`` | the same; ``*`` if it is not given |
| ``since`` | RFC 3339, UTC | the same; now if it is not given |
| ``source`` | ``inbound``, ``telnyx`` or ``api`` | the same; ``api`` if it is not given |
| ``store`` | names the store's look-up key | a digest of another store's is refused |

A file of numbers alone, one a line, needs no header. Whatever else a file has is not read.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TextIO

from service.domain.opt_out_scope import EVERYTHING, is_scope
from service.domain.recipient import is_e164, mask
from service.store.recipients import OptOut

_LONGEST_LINE = 4_096
COLUMNS = ("recipient", "masked", "scope", "since", "source")
EXPORTED = (*COLUMNS, "store")
_SOURCES = ("inbound", "telnyx", "api")
_RECIPIENT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MASKED = re.compile(r"\+[0-9*]{3,15}", re.ASCII)


class FileError(ValueError):
    """The file cannot be read at all; the message says why."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was left out; ``why`` never repeats what stands in it."""

    number: int
    why: str


Row = tuple[str, OptOut]


def write_row(recipient: str, entry: OptOut) -> tuple[str, ...]:
    since = datetime.fromtimestamp(entry.since / 1000, UTC).isoformat(timespec="milliseconds")
    return recipient, entry.masked, entry.scope, since.replace("+00:00", "Z"), entry.source


def store_mark(lookup_id: Callable[[str], str]) -> str:
    """Tells stores with different look-up keys apart: the digest of no number."""
    return lookup_id("")[:8]


def read_rows(file: TextIO, lookup_id: Callable[[str], str], now: int) -> Iterator[Row | BadLine]:
    """One line at a time, however long the file is.

    Raises:
        FileError: it is not text, a line is too long, or its header names neither ``number`` nor
            ``recipient``.
    """
    try:
        lines = _lines(file)
        first = next(lines, "")
        bare = first.split(",")[0].strip().strip('"').startswith("+")
        reader = csv.DictReader(
            chain([first], lines) if first else (), fieldnames=["number"] if bare else None
        )
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        if not {"number", "recipient"} & set(header):
            raise FileError("the first line must name the column number or recipient")
        reader.fieldnames = header
        yield from _rows(reader, lookup_id, now)
    except UnicodeDecodeError:
        raise FileError("it is not UTF-8 text") from None


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise FileError(f"a line is longer than {_LONGEST_LINE} characters")
        yield line


def _rows(
    reader: "csv.DictReader[str]", lookup_id: Callable[[str], str], now: int
) -> Iterator[Row | BadLine]:
    while True:
        try:
            found = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield BadLine(reader.line_num, "is not CSV")
            continue
        values = {name: value.strip() for name, value in found.items() if isinstance(value, str)}
        try:
            yield _read(values, lookup_id, now)
        except ValueError as error:
            yield BadLine(reader.line_num, str(error))


def _read(values: Mapping[str, str], lookup_id: Callable[[str], str], now: int) -> Row:
    recipient, masked = _who(values, lookup_id)
    scope = values.get("scope") or EVERYTHING
    if not is_scope(scope):
        raise ValueError("scope must be *, app:<name> or profile:<id>")
    source = values.get("source") or "api"
    if source not in _SOURCES:
        raise ValueError(f"source must be one of {', '.join(_SOURCES)}")
    return recipient, OptOut(masked, _since(values.get("since"), now), source, scope)


def _who(values: Mapping[str, str], lookup_id: Callable[[str], str]) -> tuple[str, str]:
    if number := values.get("number"):
        if not is_e164(number):
            raise ValueError("number must be E.164: '+', the country code and the number")
        return lookup_id(number), mask(number)
    recipient, masked = values.get("recipient", ""), values.get("masked", "")
    if not _RECIPIENT.fullmatch(recipient):
        raise ValueError("number is missing, and recipient is not 32 hexadecimal digits")
    if values.get("store", mark := store_mark(lookup_id)) != mark:
        raise ValueError("recipient is a digest of another store: nobody would be found under it")
    if not _MASKED.fullmatch(masked):
        raise ValueError("masked must be a number with stars in it, as in an export")
    return recipient, masked


def _since(text: str | None, now: int) -> int:
    if not text:
        return now
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("since must be an RFC 3339 time") from None
    since = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if not 0 <= since <= now:
        raise ValueError("since must lie in the past")
    return since
