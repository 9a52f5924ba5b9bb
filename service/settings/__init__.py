"""Configuration: secrets from the environment or ``..._FILE``, the rest from one TOML file, read once.

Everything is checked at start, and every fault is named at once. Parts of the service get the small
values made here (``Policy``, ``Limits``, ``Routing`` ...), never the settings.
"""

from service.settings.loading import (
    load_account_settings,
    load_keyring,
    load_plans,
    load_pumping,
    load_settings,
    load_store,
    load_texts,
)
from service.settings.model import AccountSettings, Settings, TextSettings
from service.settings.sections import RedisSection
from service.settings.sources import SettingsError

__all__ = [
    "AccountSettings",
    "RedisSection",
    "Settings",
    "SettingsError",
    "TextSettings",
    "load_account_settings",
    "load_keyring",
    "load_plans",
    "load_pumping",
    "load_settings",
    "load_store",
    "load_texts",
]
