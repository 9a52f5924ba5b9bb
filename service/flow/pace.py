"""Work behind the logins: done in steps of about a millisecond, so that nobody who logs in waits for it."""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TypeVar

PAUSE = 0.005
"""Seconds between two steps: the work takes some sixth of the event loop's time while it is done."""

K = TypeVar("K")
T = TypeVar("T")


async def give_way(*, behind: bool) -> None:
    """Between two steps. Who is ``behind``, with more waiting than was read at once, takes a step in each
    turn of the loop: that makes the turns longer by a step, and no load can stop it."""
    await asyncio.sleep(0 if behind else PAUSE)


def a_few(of: Mapping[K, T], count: int) -> Iterator[dict[K, T]]:
    """All of them, so many at a time."""
    rest = iter(of.items())
    while some := dict(islice(rest, count)):
        yield some
