"""A long export in order of time, in bounded memory: sorted in parts that are laid down and merged."""

import heapq
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from typing import Any

Event = Mapping[str, Any]
_PART = 20_000


class ExportError(ValueError):
    """A line of an export cannot be read; the message names it."""


def read_in_order(
    lines: Iterable[str], wanted: Callable[[Event], bool], part: int = _PART
) -> Iterator[Event]:
    """The wanted events of an NDJSON export by their ``at``; equal ones as they stand in it.

    Raises:
        ExportError: a line is no event.
    """
    events = filter(wanted, _read(lines))
    with ExitStack() as files:
        parts = []
        while events_of_part := sorted(islice(events, part), key=_at):
            file = files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            file.writelines(json.dumps(event) + "\n" for event in events_of_part)
            file.seek(0)
            parts.append(map(json.loads, file))
        yield from heapq.merge(*parts, key=_at)


def _read(lines: Iterable[str]) -> Iterator[Event]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = _stored(json.loads(line))
        except ValueError:
            raise ExportError(f"line {number} is not JSON") from None
        if not isinstance(event, dict) or not isinstance(event.get("at"), int):
            raise ExportError(f"line {number} is no audit event: it has no `at`")
        yield event


def _stored(line: Any) -> Any:
    """The event as it was stored: an export's line has it whole under ``event.original``."""
    described = line.get("event") if isinstance(line, dict) else None
    return json.loads(described["original"]) if isinstance(described, dict) else line


def _at(event: Event) -> int:
    return int(event["at"])
