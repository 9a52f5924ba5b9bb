"""The sandbox's memory has an end."""

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST = 100_000


class Bounded(OrderedDict[K, V]):
    """A dict that forgets its oldest entry rather than grow beyond ``MOST``."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > MOST:
            self.popitem(last=False)
