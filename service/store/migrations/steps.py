"""The steps from the layout before to this one."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from service.store.connection import Connection
from service.store.migrations import pseudonyms
from service.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Step:
    """``run`` yields after each batch how much it changed; to run it again changes nothing. It marks each
    partition that it has passed by a field of ``cs:meta``: the step's name, a colon, two digits."""

    name: str
    what: str
    run: Callable[[Connection, Scripts], AsyncIterator[int]]


STEPS = (
    Step(pseudonyms.NAME, "the audit trail names persons by pseudonyms", pseudonyms.run),
    # The look-up key, which layout 1 derived from the oldest master key, each process opens as it starts
    # (store/lookup.py): it takes master keys, and the old release does not mind the copies.
)
