"""What commands print: tables for people, JSON for scripts. Values never wrap a table's meaning away:
what is long is folded, and colours go where there is a terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer


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
    print_table(("field", "value"), [(name, value) for name, value in record.items()])


def _cell(value: object) -> str:
    from rich.markup import escape

    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return escape(", ".join(value))
    if isinstance(value, dict | list):
        return escape(json.dumps(value, ensure_ascii=False, default=str))
    return escape(str(value))
