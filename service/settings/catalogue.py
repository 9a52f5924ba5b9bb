"""The texts that are shipped (gettext files in ``service/locales``), and CLDR's tables, as plain values."""

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

from babel.core import get_global
from babel.languages import get_official_languages, get_territory_language_info
from babel.messages.pofile import read_po

from service.domain.locales import Languages

_CODE = "code"
"""The context of the plain message; the others are named as the variants are."""


@cache
def shipped_templates() -> dict[str, str]:
    """Every template by locale and variant (``de``, ``de@short`` ...)."""
    templates = {}
    for file in files("service").joinpath("locales").iterdir():
        locale, dot, kind = file.name.rpartition(".")
        if dot and kind == "po":
            for message in read_po(BytesIO(file.read_bytes())):
                if message.id and message.string and not message.fuzzy:
                    variant = "" if message.context == _CODE else f"@{message.context}"
                    templates[locale + variant] = str(message.string)
    return templates


@cache
def cldr_languages() -> Languages:
    """CLDR's tables of languages, scripts and countries."""
    return Languages(
        aliases=_tags("language_aliases"),
        likely=_tags("likely_subtags"),
        parents=_tags("parent_exceptions"),
        of_country={
            country: _languages_of(country) for country in get_global("territory_languages")
        },
    )


def _tags(
    table: Literal["language_aliases", "likely_subtags", "parent_exceptions"],
) -> dict[str, str]:
    return {_tag(short): _tag(full) for short, full in get_global(table).items()}


def _languages_of(country: str) -> tuple[str, ...]:
    official = get_official_languages(country, de_facto=True)
    return tuple(_tag(one) for one in official or get_territory_language_info(country))


def _tag(locale: str) -> str:
    return locale.replace("_", "-")
