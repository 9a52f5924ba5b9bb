"""Which languages a locale stands for, by the rules and tables of CLDR.

A tag is a BCP 47 language tag of language, script and region: the rest says nothing about a text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Languages:
    """CLDR's tables. ``aliases``: a language's name of today; ``likely``: the full tag of a short one;
    ``parents``: where a tag inherits from, unless it is the tag without its end; ``of_country``: languages
    of a country, the most spoken official one first."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    likely: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    of_country: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def climb(self, tag: str) -> Iterator[str]:
        """The tag and all that may stand for it, nearest first: pt-AO, pt-PT, pt; zh-TW, zh-Hant. A
        language in another script than its usual one does not stand for it."""
        language, script, region = _split(self._today(tag))
        usual = self._script(language)
        script = script or self._script(language, region)
        current = "-".join(filter(None, [language, None if script == usual else script, region]))
        while current:
            yield current
            current = self.parents.get(current) or self._shorter(current, usual)

    def of(self, country: str) -> Iterator[str]:
        """Tags of the country's languages, the main one first."""
        for language in self.of_country.get(country, ()):
            yield f"{language}-{country}"

    def _today(self, tag: str) -> str:
        language, _, rest = tag.replace("_", "-").partition("-")
        found = self.aliases.get(language.lower(), language)
        return f"{found}-{rest}" if rest else found

    def _script(self, language: str, region: str | None = None) -> str | None:
        full = self.likely.get(f"{language}-{region}") if region else None
        full = full or self.likely.get(language)
        return _split(full)[1] if full else None

    def _shorter(self, tag: str, usual: str | None) -> str:
        shorter, _, end = tag.rpartition("-")
        return "" if len(end) == 4 and end != usual else shorter


@lru_cache(maxsize=1024)
def _split(tag: str) -> tuple[str, str | None, str | None]:
    language, *rest = tag.split("-")
    script = next((part.title() for part in rest if len(part) == 4 and part.isalpha()), None)
    region = next((p.upper() for p in rest if len(p) == 2 or (len(p) == 3 and p.isdigit())), None)
    return language.lower(), script, region
