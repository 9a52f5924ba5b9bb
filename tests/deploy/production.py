"""Configurations of ``deploy/``, read by the service's own code with secrets made here."""

import base64
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from service.settings import Settings, load_settings

_VALUES: dict[str, Callable[[], str]] = {
    "COUNTERSIGN_KEYS": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "REDIS_URL": lambda: "redis://redis.internal:6379/0",
    "TELNYX_API_KEY": lambda: "KEY0123456789",
    "TELNYX_PUBLIC_KEY": lambda: "ioIS6FuDOkBg+8U0zRQXcwm7bm6fP3PQ0mKNLSbrbRs=",
}


def make(name: str) -> str:
    """A secret by its name as a variable or as a file (``telnyx-api-key``)."""
    known = {"keys": "COUNTERSIGN_KEYS"}
    return _VALUES[known.get(name, name.replace("-", "_").upper())]()


def load(text: str, environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings as a process with ``environ`` would have them, ``text`` being its file; where the
    environment names a secret's file, one is there."""
    config = folder / "countersign.toml"
    config.write_text(text, encoding="utf-8")
    given = {name: value for name, value in environ.items() if name != "COUNTERSIGN_CONFIG"}
    for name, make in _VALUES.items():
        if f"{name}_FILE" in given:
            file = folder / name
            file.write_text(make(), encoding="utf-8")
            given[f"{name}_FILE"] = str(file)
    return load_settings(config, given)
