"""What an opt-out is about: everything, one app, or one messaging profile.

A verification falls under all three kinds at once: everything, its app, and the profile of *each* sender of
its plan. An opt-out under any of them stops the whole plan, because to go on through another sender would
go round it. ``[opt_outs] scope`` decides only under which scope a new opt-out is recorded, so what was
recorded under an earlier setting stays in force.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from service.domain.plan import Sender

EVERYTHING = "*"
_SCOPE = re.compile(r"\*|app:[a-z0-9_-]{1,64}|profile:[0-9a-f-]{1,64}", re.ASCII)
_PROFILE = re.compile(r"[0-9a-f-]{1,64}", re.ASCII)


class Rule(StrEnum):
    """``[opt_outs] scope``."""

    ALL = "all"
    APP = "app"
    MESSAGING_PROFILE = "messaging_profile"


def is_scope(text: str) -> bool:
    """Whether it is ``*``, ``app:<name>`` or ``profile:<id>``."""
    return _SCOPE.fullmatch(text) is not None


def of_app(app: str) -> str:
    return f"app:{app}"


def concerns(scope: str, app: str) -> bool:
    """Whether an opt-out of this scope may bar the app: all but another app's own."""
    return scope == of_app(app) or not scope.startswith("app:")


def of_profile(profile: str) -> str:
    """Ids are compared in lower case, as UUIDs are."""
    return f"profile:{profile.lower()}"


def of_plan(app: str, plan: Iterable[Sender]) -> tuple[str, ...]:
    """The scopes beside everything under which a verification falls."""
    profiles = {of_profile(s.messaging_profile_id) for s in plan if s.messaging_profile_id}
    return (of_app(app), *sorted(profiles))


@dataclass(frozen=True, slots=True)
class Scopes:
    """Which scopes an opt-out is recorded under, shown of and lifted from. ``profiles``: the messaging
    profiles of the configured senders."""

    rule: Rule = Rule.ALL
    profiles: tuple[str, ...] = ()

    def of_caller(self, app: str) -> str:
        """Where an API key records."""
        return of_app(app) if self.rule is Rule.APP else EVERYTHING

    def of_number(self, profile: str | None) -> str:
        """Where a STOP, or a block of Telnyx's, is recorded. Apps share their senders, so under the
        rule ``app`` a person's STOP is for every app."""
        known = profile is not None and _PROFILE.fullmatch(profile.lower())
        if self.rule is Rule.MESSAGING_PROFILE and profile is not None and known:
            return of_profile(profile)
        return EVERYTHING

    def seen_by_caller(self, app: str) -> tuple[str, ...]:
        """What may bar a start of the app, the widest first."""
        return (EVERYTHING, of_app(app), *self._profiles())

    def lifted_by_caller(self, app: str) -> tuple[str, ...]:
        """An app lifts its own where each has its own, so never what a person asked of all."""
        return (of_app(app),) if self.rule is Rule.APP else (EVERYTHING, *self._profiles())

    def lifted_by_person(self, profile: str | None) -> tuple[str, ...]:
        """A START takes back a STOP, and no app's own record."""
        if self.rule is Rule.MESSAGING_PROFILE:
            return tuple(dict.fromkeys((EVERYTHING, self.of_number(profile))))
        return (EVERYTHING, *self._profiles())

    def _profiles(self) -> tuple[str, ...]:
        return tuple(map(of_profile, self.profiles))
