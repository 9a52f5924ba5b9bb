"""The numbers that sent STOP: for each messaging profile, as Telnyx keeps them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from service.sandbox.messages import now
from service.sandbox.store import Shelf, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """``from_``: the account's number that the keyword was sent to; ``to``: the phone."""

    from_: str
    to: str
    messaging_profile_id: str
    keyword: str
    created_at: str = field(default_factory=now)

    def payload(self, *, redacted: bool = False) -> dict[str, Any]:
        """``OptOutItem``; ``redacted`` hides the end of the phone's number."""
        return {
            "from": self.from_,
            "to": f"{self.to[:-4]}****" if redacted else self.to,
            "messaging_profile_id": self.messaging_profile_id,
            "keyword": self.keyword,
            "created_at": self.created_at,
        }


class OptOuts:
    def __init__(self, store: Store) -> None:
        self._all = Shelf(store, "opt_out", OptOut)

    def add(self, found: OptOut) -> None:
        """A number that is on the list already stays as it is."""
        if not self.blocks(found.messaging_profile_id, found.to):
            self._all.put(_key(found.messaging_profile_id, found.to), found)

    def lift(self, profile: str, to: str) -> None:
        self._all.pop(_key(profile, to))

    def blocks(self, profile: str, to: str) -> bool:
        return _key(profile, to) in self._all

    def all(self) -> Collection[OptOut]:
        """Oldest first."""
        found: Collection[OptOut] = self._all.values()
        return found


def fictional_numbers(count: int) -> Iterator[str]:
    """Different numbers of the range reserved for fiction (555-0100 to 555-0199 of each area code), from
    the highest area code down. At most ``MOST_FICTIONAL``."""
    for index in range(count):
        area, line = divmod(index, 100)
        yield f"+1{999 - area}55501{line:02}"


MOST_FICTIONAL = 79_000
"""Down to area code 210, which leaves 200 to 209 to the tests that send."""


def _key(profile: str, to: str) -> str:
    return f"{profile} {to}"
