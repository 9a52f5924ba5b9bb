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
    """Between two steps. Whoever is ``behind``, with more waiting than it read at once, takes every turn of the
    loop: it delays each request by a step or so, but it cannot fall behind for ever."""
    await asyncio.sleep(0 if behind else PAUSE)


def a_few(of: Mapping[K, T], count: int) -> Iterator[dict[K, T]]:
    """All of them, so many at a time."""
    rest = iter(of.items())
    while some := dict(islice(rest, count)):
        yield some
