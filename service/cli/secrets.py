"""Secrets made for a machine of one's own, each in a file that only its owner reads."""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

_KEY_BYTES = 32


def new_key() -> str:
    """Base64 of 32 random bytes: a master key, or the seed of a signing key."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def new_api_key() -> str:
    """A plain API key, for a service to be started with (COUNTERSIGN_API_KEY)."""
    return f"cs_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in the file; made and written (mode 0600) if it is not there."""
    if not path.exists():
        write_secret(path, make())
    return path.read_text(encoding="utf-8").strip()


def write_secret(path: Path, text: str) -> None:
    """Write at once and whole, so that a crash leaves the old file or the new one."""
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
