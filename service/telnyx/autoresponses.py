"""Auto-responses kept in the configuration: what has to change at Telnyx to make it so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.telnyx.account import TelnyxAccount
from service.telnyx.outgoing import AutoresponseBody
from service.telnyx.resources import Autoresponse

Identity = tuple[str, str]


class Wanted(AutoresponseBody):
    """``[[autoresponses]]``: one for each profile, ``op`` and country."""

    messaging_profile_id: Annotated[str, Field(min_length=1, max_length=64)]

    @property
    def identity(self) -> Identity:
        return self.op, self.country_code

    def body(self) -> AutoresponseBody:
        return AutoresponseBody(**self.model_dump(exclude={"messaging_profile_id"}))


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
    profile_id: str, wanted: Iterable[Wanted], present: Iterable[Autoresponse], *, prune: bool
) -> list[Change]:
    """What has to be done on a profile. With ``prune`` what is not configured is deleted, and so is a
    second one of the same op and country, of which Telnyx would use either."""
    left: dict[Identity, list[Autoresponse]] = {}
    for found in present:
        left.setdefault((found.op, found.country_code), []).append(found)
    changes = []
    for one in wanted:
        found_of_it = left.get(one.identity, [])
        match = found_of_it.pop(0) if found_of_it else None
        action = Action.CREATE if match is None else _action(one, match)
        changes.append(Change(action=action, profile_id=profile_id, wanted=one, present=match))
    action = Action.DELETE if prune else Action.FOREIGN
    for others in left.values():
        changes += [Change(action=action, profile_id=profile_id, present=other) for other in others]
    return changes


async def plan(account: TelnyxAccount, wanted: Sequence[Wanted], *, prune: bool) -> list[Change]:
    """Compare every profile that the configuration names. Raises TelnyxCallError."""
    changes = []
    for profile_id in dict.fromkeys(one.messaging_profile_id for one in wanted):
        of_profile = [one for one in wanted if one.messaging_profile_id == profile_id]
        present = await account.list_autoresponses(profile_id)
        changes += compare(profile_id, of_profile, present, prune=prune)
    return changes


async def apply(account: TelnyxAccount, changes: Iterable[Change]) -> None:
    """Make it so. Raises TelnyxCallError; what was done before it stays, and a second run goes on."""
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


def _action(wanted: Wanted, present: Autoresponse) -> Action:
    same_words = {k.casefold() for k in wanted.keywords} == {k.casefold() for k in present.keywords}
    same = same_words and (wanted.resp_text or None) == (present.resp_text or None)
    return Action.SAME if same else Action.UPDATE
