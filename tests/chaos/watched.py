"""Every await of a flow on the parts around it, made a place where something may happen."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

Hook = Callable[[str], Awaitable[None]]


class Crash(BaseException):
    """The process dies here: nothing of the flow may catch it."""


class Watched:
    """A part, with ``before`` and ``after`` awaited around each of its coroutines."""

    def __init__(self, name: str, part: object, before: Hook, after: Hook) -> None:
        self._name, self._part = name, part
        self._before, self._after = before, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def watched(*args: Any, **kwargs: Any) -> Any:
            place = f"{self._name}.{name}"
            await self._before(place)
            result = await found(*args, **kwargs)
            await self._after(place)
            return result

        return watched


async def nothing(_: str) -> None:
    """A hook."""


def watch(flow: object, *, before: Hook = nothing, after: Hook = nothing) -> None:
    """Let all that ``flow`` awaits pass the hooks. Its parts are its attributes with coroutine methods."""
    for name, part in vars(flow).items():
        methods = inspect.getmembers(type(part), inspect.iscoroutinefunction)
        if any(not method.startswith("__") for method, _ in methods):
            setattr(flow, name, Watched(name, part, before, after))
