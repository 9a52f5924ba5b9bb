"""The Lua scripts: loaded from ``lua/``, their names bound, run by digest.

A script begins with comment lines that are its contract::

    -- What it does.
    -- keys: record due
    -- args: id now
    -- include: audit
    -- reply: ok | closed

From them the ``local`` lines are made, so that nobody counts positions, and a call whose names
differ is refused before it reaches the server.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from redis.exceptions import NoScriptError

from service.store.connection import Connection

_HEADER = re.compile(r"^-- (keys|args|include|reply): *(.*)$", re.MULTILINE)

# A lost one would let a code be approved or sent twice, tries go uncounted, or a STOP be forgotten.
_COPIED = frozenset({"create", "begin_delivery", "settle_attempt", "cancel", "opt_out"})

Reply = list[str]
Names = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Script:
    """One script: the names of its keys and arguments in order, and its full source."""

    name: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    source: str
    sha: str

    def ordered(self, keys: Names, args: Names) -> tuple[list[str], list[str]]:
        """Keys and arguments in the script's order. Raises TypeError if the names differ from its."""
        try:
            if len(keys) == len(self.keys) and len(args) == len(self.args):
                return [str(keys[name]) for name in self.keys], [
                    str(args[name]) for name in self.args
                ]
        except KeyError:
            pass
        raise TypeError(
            f"{self.name}.lua takes keys {self.keys} and args {self.args}, "
            f"not {tuple(keys)} and {tuple(args)}"
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script."""

    script: str
    keys: Names
    args: Names


class Scripts:
    """All scripts, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._scripts = load_scripts()

    async def run(self, name: str, keys: Names, args: Names) -> Reply:
        """Run a script; its reply's first item is a word of the ``reply:`` line.

        Raises:
            TypeError: the names differ from the script's header.
            UnavailableError: the server did not answer; the script may have run.
        """
        script = self._scripts[name]
        key_list, arg_list = script.ordered(keys, args)
        copied = name in _COPIED
        try:
            reply = await self._connection.evalsha(script.sha, key_list, arg_list, copied=copied)
        except NoScriptError:
            reply = await self._connection.eval(script.source, key_list, arg_list, copied=copied)
        return [str(item) for item in reply]

    async def run_all(self, calls: list[Call]) -> list[Reply]:
        """Run several independent calls in one round trip."""
        if len(calls) == 1:
            return [await self.run(calls[0].script, calls[0].keys, calls[0].args)]
        batch: list[list[str | float | bytes]] = []
        for call in calls:
            script = self._scripts[call.script]
            key_list, arg_list = script.ordered(call.keys, call.args)
            batch.append(["EVALSHA", script.sha, len(key_list), *key_list, *arg_list])
        replies = await self._connection.evalshas(batch)
        # Each run counts, so only what did not run is run again.
        return [
            [str(item) for item in reply]
            if reply is not None
            else await self.run(call.script, call.keys, call.args)
            for call, reply in zip(calls, replies, strict=True)
        ]


@cache
def load_scripts() -> Mapping[str, Script]:
    """Read every script of the package, once. Raises ValueError if a header is missing."""
    folder = resources.files("service.store") / "lua"
    includes = {
        entry.name.removesuffix(".lua"): entry.read_text()
        for entry in (folder / "include").iterdir()
        if entry.name.endswith(".lua")
    }
    names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".lua")]
    return {
        name.removesuffix(".lua"): _build(
            name.removesuffix(".lua"), (folder / name).read_text(), includes
        )
        for name in names
    }


def _build(name: str, text: str, includes: Mapping[str, str]) -> Script:
    header = dict(_HEADER.findall(text))
    missing = {"keys", "args", "reply"} - header.keys()
    if missing:
        raise ValueError(f"{name}.lua: the header lacks {', '.join(sorted(missing))}")
    keys = tuple(header["keys"].split())
    args = tuple(header["args"].split())
    bindings = [f"local {key} = KEYS[{i}]" for i, key in enumerate(keys, start=1)]
    bindings += [f"local {arg} = ARGV[{i}]" for i, arg in enumerate(args, start=1)]
    parts = [*bindings, *_included(header.get("include", ""), includes), text]
    source = "\n".join(parts)
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, keys, args, source, sha)


def _included(names: str, includes: Mapping[str, str]) -> list[str]:
    """The text of each include, after those that it names itself."""
    found = []
    for name in names.split():
        header = dict(_HEADER.findall(includes[name]))
        found += [*_included(header.get("include", ""), includes), includes[name]]
    return found
