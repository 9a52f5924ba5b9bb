"""What commands print: tables for people, JSON for scripts. Values never wrap a table's meaning away:
what is long is folded, and colours go where there is a terminal."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

# Texts that strangers send are among what is shown, and a terminal would obey them.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def print_json(value: object) -> None:
    """One JSON document on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """``title`` is shown above; what is missing is a dash."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console().print(table)


def print_record(record: Mapping[str, Any]) -> None:
    """One thing, a line for each of its fields."""
    print_table(("field", "value"), flat(record).items())


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """What is nested, as fields with a dot; what is not there is left out."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": at for inner, at in flat(value).items()}
        elif value is not None:
            found[name] = value
    return found


def _cell(value: object) -> str:
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _plain(", ".join(value))
    if isinstance(value, dict | list):
        return _plain(json.dumps(value, ensure_ascii=False, default=str))
    return _plain(str(value))


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))
