"""Senders, and the ordered senders (the plan) of a recipient's country."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class SenderKind(StrEnum):
    """The kinds of origin that Telnyx Messaging sends from."""

    LONG_CODE = "long_code"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"
    NUMBER_POOL = "number_pool"
    WHATSAPP = "whatsapp"

    @property
    def is_sms(self) -> bool:
        """Whether it needs a recipient that can get SMS."""
        return self is not SenderKind.WHATSAPP


@dataclass(frozen=True, slots=True)
class Template:
    """An approved WhatsApp authentication template: by Telnyx's ``id``, or by ``name`` and ``language``."""

    id: str | None = None
    name: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A configured origin. ``report_timeout``: milliseconds to wait for a final delivery report.
    ``template``: what a WhatsApp sender sends; free text would need the person to have written first.
    ``stop_text``: how to stop the messages of a sender that nobody can reply to, said where the law asks
    for it (``stop_countries``, ISO 3166-1 alpha-2; none: everywhere)."""

    name: str
    kind: SenderKind
    from_: str | None = None
    messaging_profile_id: str | None = None
    report_timeout: int = 30_000
    template: Template | None = None
    stop_text: str | None = None
    stop_countries: frozenset[str] = frozenset()

    def stop_text_in(self, country: str) -> str | None:
        here = not self.stop_countries or country in self.stop_countries
        return self.stop_text if here else None


@dataclass(frozen=True, slots=True)
class Route:
    """Countries (ISO 3166-1 alpha-2, or ``*``) and the sender names to try there, in order. ``fixed``: the
    order is never changed."""

    countries: frozenset[str]
    plan: tuple[str, ...]
    fixed: bool = False

    def covers(self, country: str) -> bool:
        return "*" in self.countries or country in self.countries


def plan_for(country: str, routes: Sequence[Route]) -> tuple[str, ...] | None:
    """The plan of the first route that covers the country; ``None`` where none does."""
    return next((route.plan for route in routes if route.covers(country)), None)


def is_fixed(country: str, routes: Sequence[Route]) -> bool:
    """Whether the order of the country's plan is never changed."""
    return next((route.fixed for route in routes if route.covers(country)), False)


def unknown_senders(names: Sequence[str], senders: Mapping[str, Sender]) -> tuple[str, ...]:
    """Those of the names that no configured sender has."""
    return tuple(name for name in names if name not in senders)
