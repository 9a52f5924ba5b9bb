"""The table of what was measured, and its place in the README."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
HEAD = "| measured | figure | goal |\n| --- | --- | --- |"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, and what it was to be."""

    what: str
    figure: str
    goal: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | {self.figure} | {self.goal} |"


def quantiles(seconds: Sequence[float]) -> str:
    """p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    return f"{p50:.1f}, {p99:.1f}"


def write(rows: Sequence[Row], page: Path = README) -> None:
    """Put the table between the marks. Raises ValueError if they are not there."""
    text = page.read_text(encoding="utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"{page.name} lacks {BEGIN} or {END}")
    table = "\n".join([HEAD, *map(str, rows)])
    whole = f"{text[:begin]}{BEGIN}\n\n{_where()}\n\n{table}\n\n{text[end:]}"
    page.write_text(whole, encoding="utf-8")


def _where() -> str:
    cores, day = len(os.sched_getaffinity(0)), datetime.now(UTC).date()
    machine = f"{cores} cores of {_cpu()}, Python {platform.python_version()}"
    return f"{day}, {machine}; load, sink and Valkey, which syncs each second, share them:"


def _cpu() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1] if found else platform.machine()
