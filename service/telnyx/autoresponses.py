"""Auto-responses kept in the configuration: what has to change at Telnyx to make it so."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from service.telnyx.account import TelnyxAccount
from service.telnyx.outgoing import AutoresponseBody
from service.telnyx.resources import Autoresponse


class Wanted(AutoresponseBody):
    """One of ``[[autoresponses]]``."""

    messaging_profile_id: Annotated[str, Field(min_length=1, max_length=64)]

    def body(self) -> AutoresponseBody:
        return AutoresponseBody(**self.model_dump(exclude={"messaging_profile_id"}))


def _each_word_once(wanted: list[Wanted]) -> list[Wanted]:
    seen = set()
    for one in wanted:
        for word in one.keywords:
            place = one.messaging_profile_id, one.country_code, word.casefold()
            if place in seen:
                raise ValueError(
                    f"{word} stands twice for {one.country_code} of {one.messaging_profile_id}: "
                    f"only one of them could answer"
                )
            seen.add(place)
    return wanted


Configured = Annotated[list[Wanted], AfterValidator(_each_word_once)]
"""``[[autoresponses]]``: what the profiles that it names are to answer."""


class Action(StrEnum):
    """What is done about one auto-response. ``FOREIGN``: the configuration does not name it."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SAME = "same"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of the difference."""

    action: Action
    profile_id: str
    wanted: Wanted | None = None
    present: Autoresponse | None = None


def compare(
    profile_id: str, wanted: Sequence[Wanted], present: Iterable[Autoresponse], *, prune: bool
) -> list[Change]:
    """What has to be done on a profile. One that is there belongs to a configured one of its op and
    country if they share a keyword; the others are foreign: only with ``prune`` they are changed into
    what is missing, or deleted."""
    left = list(present)
    own: dict[int, Autoresponse] = {}
    for fits in (_is_same, _shares_a_word, _is_of_a_kind) if prune else (_is_same, _shares_a_word):
        for index, one in enumerate(wanted):
            match = next((p for p in left if index not in own and fits(one, p)), None)
            if match is not None:
                own[index] = match
                left.remove(match)
    changes = [
        Change(
            action=_action(one, own.get(i)), profile_id=profile_id, wanted=one, present=own.get(i)
        )
        for i, one in enumerate(wanted)
    ]
    action = Action.DELETE if prune else Action.FOREIGN
    return changes + [Change(action=action, profile_id=profile_id, present=p) for p in left]


async def plan(account: TelnyxAccount, wanted: Sequence[Wanted], *, prune: bool) -> list[Change]:
    """Compare every profile that the configuration names. Raises TelnyxCallError."""
    changes = []
    for profile_id in dict.fromkeys(one.messaging_profile_id for one in wanted):
        of_profile = [one for one in wanted if one.messaging_profile_id == profile_id]
        present = await account.list_autoresponses(profile_id)
        changes += compare(profile_id, of_profile, present, prune=prune)
    return changes


async def apply(
    account: TelnyxAccount,
    changes: Iterable[Change],
    done: Callable[[Change], None] = lambda _: None,
) -> None:
    """Make it so, and say ``done`` of each. Raises TelnyxCallError; what was done before it stays, and
    a second run goes on."""
    for change in changes:
        match change:
            case Change(action=Action.CREATE, wanted=Wanted() as one):
                await account.create_autoresponse(change.profile_id, one.body())
            case Change(
                action=Action.UPDATE, wanted=Wanted() as one, present=Autoresponse() as old
            ):
                await account.update_autoresponse(change.profile_id, old.id, one.body())
            case Change(action=Action.DELETE, present=Autoresponse() as old):
                await account.delete_autoresponse(change.profile_id, old.id)
            case _:
                continue
        done(change)


def _action(wanted: Wanted, present: Autoresponse | None) -> Action:
    if present is None:
        return Action.CREATE
    return Action.SAME if _is_same(wanted, present) else Action.UPDATE


def _is_same(wanted: Wanted, present: Autoresponse) -> bool:
    same_text = (wanted.resp_text or None) == (present.resp_text or None)
    same_words = _words(wanted) == _words(present)
    return same_text and same_words and _is_of_a_kind(wanted, present)


def _shares_a_word(wanted: Wanted, present: Autoresponse) -> bool:
    return _is_of_a_kind(wanted, present) and not _words(wanted).isdisjoint(_words(present))


def _is_of_a_kind(wanted: Wanted, present: Autoresponse) -> bool:
    return (wanted.op, wanted.country_code) == (present.op, present.country_code)


def _words(one: Wanted | Autoresponse) -> set[str]:
    return {word.casefold() for word in one.keywords}
