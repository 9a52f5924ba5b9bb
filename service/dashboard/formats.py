"""Figures and instants as people read them; what is not known is a dash."""

from datetime import UTC, datetime

_NONE, _GAP = "-", "\N{NO-BREAK SPACE}"


def instant(milliseconds: int) -> str:
    """To the second, UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def hour(milliseconds: int) -> str:
    """The hour that begins then, UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M}"


def tick(milliseconds: int, *, by_day: bool) -> str:
    """Below a chart, UTC."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at:%b %d}" if by_day else f"{at:%H:%M}"


def share(of_all: float | None) -> str:
    return _NONE if of_all is None else f"{100 * of_all:.1f}{_GAP}%"


def count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def long(seconds: float | None) -> str:
    """A duration."""
    if seconds is None:
        return _NONE
    if seconds >= 3600:
        return f"{seconds / 3600:.3g}{_GAP}h"
    if seconds >= 100:
        return f"{seconds / 60:.1f}{_GAP}min"
    return f"{seconds:.2f}{_GAP}s" if seconds < 10 else f"{seconds:.1f}{_GAP}s"
