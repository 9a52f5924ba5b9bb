"""What each command reads: all settings, or only what it needs."""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey
from pydantic import ValidationError

from service.domain.keyring import Keyring, KeyringError, parse_keys
from service.domain.pumping import PumpingPolicy
from service.settings.model import AccountSettings, Settings, TextSettings
from service.settings.sections import PumpingSection, RedisSection
from service.settings.sources import SECRETS, SettingsError, explain, read_file, read_toml, secret
from service.store.connection import Tls


def load_account_settings(
    config: Path | None, environ: Mapping[str, str] = os.environ
) -> AccountSettings:
    """Read what the account's commands need; neither Redis nor keys have to be set for them.

    Raises:
        SettingsError: naming every fault; no secret is repeated.
    """
    path, values = read_file(config, environ)
    if base_url := environ.get("COUNTERSIGN_TELNYX_BASE_URL"):
        values["telnyx_base_url"] = base_url
    key = secret("TELNYX_API_KEY", environ)
    try:
        return AccountSettings(**{**values, **({"TELNYX_API_KEY": key} if key is not None else {})})
    except ValidationError as error:
        raise SettingsError(explain(error, path)) from None


def load_settings(config: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the configuration.

    Raises:
        SettingsError: naming every fault; no secret is repeated.
    """
    path, values = read_file(config, environ)
    given = {name: value for name in SECRETS if (value := secret(name, environ)) is not None}
    try:
        return Settings(**{**values, **given})
    except ValidationError as error:
        raise SettingsError(explain(error, path)) from None


def load_plans(config: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The configuration, for commands that send nothing: where a secret or the public address is not set,
    something stands in for it.

    Raises:
        SettingsError: naming every fault.
    """
    path, values = read_file(config, environ)
    stand_ins: dict[str, Any] = {
        "COUNTERSIGN_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "REDIS_URL": "redis://nowhere.invalid",
        "TELNYX_API_KEY": "none",
        "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(SigningKey.generate().verify_key)).decode(),
        "public_url": "https://nowhere.invalid",
    }
    try:
        return Settings(**{**stand_ins, **values})
    except ValidationError as error:
        raise SettingsError(explain(error, path)) from None


def load_texts(
    config: Path | None, environ: Mapping[str, str] = os.environ, *, app_name: str | None = None
) -> TextSettings:
    """What decides what stands in a code's message; nothing else has to be set for it. ``app_name``:
    instead of the configured one.

    Raises:
        SettingsError: naming every fault of it.
    """
    path, values = read_file(config, environ)
    if name := app_name or environ.get("COUNTERSIGN_APP_NAME"):
        values["app_name"] = name
    try:
        return TextSettings(**values)
    except ValidationError as error:
        raise SettingsError(explain(error, path)) from None


def load_pumping(path: Path) -> PumpingPolicy:
    """The policy in ``[guard.pumping]`` of a TOML file, whatever else the file holds.

    Raises:
        SettingsError: it cannot be read, or its policy is faulty.
    """
    guard = read_toml(path).get("guard", {})
    section = guard.get("pumping") if isinstance(guard, dict) else None
    if section is None:
        raise SettingsError(f"{path} has no [guard.pumping]")
    try:
        return PumpingSection.model_validate(section).policy()
    except ValidationError as error:
        raise SettingsError(explain(error, path)) from None


def load_store(environ: Mapping[str, str] = os.environ) -> tuple[str, Tls]:
    """REDIS_URL and ``[redis]`` alone, for commands that work on the store.

    Raises:
        SettingsError: REDIS_URL is not set, or ``[redis]`` has faults.
    """
    url = secret("REDIS_URL", environ)
    if url is None:
        raise SettingsError("REDIS_URL is not set: say where Redis is")
    path, values = read_file(None, environ)
    try:
        return url, RedisSection.model_validate(values.get("redis", {})).tls()
    except ValidationError as error:
        raise SettingsError(explain(error, path)) from None


def load_keyring(environ: Mapping[str, str] = os.environ) -> Keyring:
    """COUNTERSIGN_KEYS alone, for commands that need nothing else.

    Raises:
        SettingsError: it is not set, or its keys are missing, malformed or weak.
    """
    keys = secret("COUNTERSIGN_KEYS", environ)
    if keys is None:
        raise SettingsError("COUNTERSIGN_KEYS is not set: set it or COUNTERSIGN_KEYS_FILE")
    try:
        return Keyring(parse_keys(keys))
    except KeyringError as error:
        raise SettingsError(f"COUNTERSIGN_KEYS: {error}") from None
