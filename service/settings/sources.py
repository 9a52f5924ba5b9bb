"""Where values come from: the environment, ``..._FILE`` and one TOML file; what is wrong is said whole."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

SECRETS = (
    "COUNTERSIGN_KEYS",
    "COUNTERSIGN_API_KEY",
    "REDIS_URL",
    "TELNYX_API_KEY",
    "TELNYX_PUBLIC_KEY",
)


class SettingsError(Exception):
    """The configuration is wrong; the message names every fault and what to do."""


def read_file(
    config: Path | None, environ: Mapping[str, str]
) -> tuple[Path | None, dict[str, Any]]:
    path = config or (
        Path(environ["COUNTERSIGN_CONFIG"]) if "COUNTERSIGN_CONFIG" in environ else None
    )
    values = read_toml(path) if path is not None else {}
    in_file = [name for name in ("keys", "redis_url", *map(str.lower, SECRETS)) if name in values]
    if in_file:
        raise SettingsError(
            f"{path}: {', '.join(in_file)}: secrets come from the environment or from files "
            f"(COUNTERSIGN_KEYS_FILE ...), not from the TOML file"
        )
    return path, values


def secret(name: str, environ: Mapping[str, str]) -> str | None:
    file = environ.get(f"{name}_FILE")
    if file is None:
        return environ.get(name)
    if name in environ:
        raise SettingsError(f"{name} and {name}_FILE are both set: unset one of them")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE cannot be read: {type(error).__name__}") from None


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def explain(error: ValidationError, path: Path | None) -> str:
    lines = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        where = ".".join(str(part) for part in fault["loc"]) or "top level"
        message = fault["msg"].removeprefix("Value error, ")
        if where in SECRETS and fault["type"] == "missing":
            message = f"not set: set {where} or {where}_FILE"
        elif where == "public_url" and fault["type"] == "missing":
            message = "not set: the address where Telnyx reaches this service"
        # A check of several parts together says each of its faults on a line.
        lines += [f"  {where}: {line}" for line in message.splitlines()]
    named = f"({path}) " if path else ""
    return "\n".join([f"the configuration {named}has {len(lines)} fault(s):", *lines])
