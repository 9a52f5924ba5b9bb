"""Instants are milliseconds since the epoch; here is how they are written for others."""

from datetime import UTC, datetime


def rfc3339(milliseconds: int) -> str:
    """UTC with milliseconds (RFC 3339): ``2026-01-31T12:00:00.000Z``."""
    instant = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
