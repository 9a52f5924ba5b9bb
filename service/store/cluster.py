"""A Cluster: one link to each of its servers, and every command to the one that serves its key's slot.

redis-py's own Cluster client takes a connection from a pool for ASKING and another for the command that it
is meant for, so that nothing gets through while slots move and requests are many; and it closes the
connections of all when one command meets CLUSTERDOWN. It still runs what is rare.
"""

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.store.link import Address, Command, Link

_SLOTS = 16_384
_PATIENCE = 2.0
"""Seconds that a command waits for its slot to arrive where it moves to."""
_PAUSE = 0.02
_MAP_TIMEOUT = 0.5
_NOT_RUN = ("MOVED", "ASK", "TRYAGAIN")
_TAG = re.compile(rb"\{([^}]+)\}")
_SCRIPTS = ("EVAL", "EVALSHA")

Server = tuple[str, int]


class ClusterLinks:
    """Asks as ``Link`` does, each command at its server."""

    def __init__(self, seed: Address, link_to: Callable[[Server], Link]) -> None:
        """``seed``: who is asked for the others first."""
        self._seed = (seed.host, seed.port)
        self._link_to = link_to
        self._links: dict[Server, Link] = {}
        self._servers: list[Server | None] = [None] * _SLOTS
        self._stale = True
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, commands: Sequence[Command], *, copied: bool = False) -> list[Any]:
        """The replies, in order; what a server refused stands among them as a ``ResponseError``. What it
        refused because the slot moves has not run, and is asked again where it says.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError, OSError: the commands may have run, or not.
            NotCopiedError: as of ``Link``.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        commands = [_in_one_place(command) for command in commands]
        replies = await self._ask_once(commands, [None] * len(commands), copied=copied)
        redirected = False
        while again := [i for i, reply in enumerate(replies) if _word(reply) in _NOT_RUN]:
            if loop.time() > deadline:
                break
            # Two servers may name each other until both have heard of a move.
            if redirected or any(_word(replies[i]) == "TRYAGAIN" for i in again):
                await asyncio.sleep(_PAUSE)
            redirected = True
            targets = [self._redirected(replies[i]) for i in again]
            newer = await self._ask_once([commands[i] for i in again], targets, copied=copied)
            for i, reply in zip(again, newer, strict=True):
                replies[i] = reply
        return replies

    @property
    def delay(self) -> float:
        """Seconds that the oldest question waits for its answer, of all servers."""
        return max((link.delay for link in self._links.values()), default=0.0)

    def drop(self) -> None:
        """End all connections."""
        for link in self._links.values():
            link.drop()

    async def _ask_once(
        self, commands: Sequence[Command], targets: Sequence[Server | None], *, copied: bool
    ) -> list[Any]:
        """Each at its server, or at its target, which only answers what begins with ASKING."""
        if self._stale:
            await self._read_map()
        groups = defaultdict[Server, list[int]](list)
        for i, command in enumerate(commands):
            groups[targets[i] or self._server_of(command)].append(i)
        replies: list[Any] = [None] * len(commands)

        async def ask(server: Server, some: list[int]) -> None:
            batch = [(commands[i], targets[i] is not None) for i in some]
            for i, reply in zip(some, await self._ask_server(server, batch, copied), strict=True):
                replies[i] = reply

        await asyncio.gather(*(ask(server, some) for server, some in groups.items()))
        return replies

    async def _ask_server(
        self, server: Server, batch: list[tuple[Command, bool]], copied: bool
    ) -> list[Any]:
        sent: list[Command] = []
        for command, asking in batch:
            sent += [("ASKING",), command] if asking else [command]
        try:
            replies = await self._link(server).ask(sent, copied=copied)
        except (RedisConnectionError, RedisTimeoutError, OSError):
            self._stale = True  # Its replica may have been promoted.
            raise
        if any(_word(reply) == "CLUSTERDOWN" for reply in replies):
            self._stale = True
        return [
            reply for reply, command in zip(replies, sent, strict=True) if command != ("ASKING",)
        ]

    def _server_of(self, command: Command) -> Server:
        key = _key(command)
        slot = random.randrange(_SLOTS) if key is None else key_slot(key)  # noqa: S311
        server = self._servers[slot]
        if server is None:
            self._stale = True
            raise RedisConnectionError("a slot is served by no server")
        return server

    def _redirected(self, reply: ResponseError) -> Server | None:
        """Where ASK sends one command. MOVED is for all that come after it as well."""
        word, *where = str(reply).split()
        if word == "TRYAGAIN":
            return None
        slot, (host, _, port) = int(where[0]), where[1].rpartition(":")
        before = self._servers[slot]
        server = (host or (before or self._seed)[0], int(port))
        if word == "ASK":
            return server
        self._servers[slot] = server
        return None

    def _link(self, server: Server) -> Link:
        if server not in self._links:
            self._links[server] = self._link_to(server)
        return self._links[server]

    async def _read_map(self) -> None:
        """Ask for the slots; those who find it stale at once share the answer."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._ask_for_slots())
        await asyncio.shield(self._reading)

    async def _ask_for_slots(self) -> None:
        # In another order each time: one that hears nothing of the others still answers.
        known = random.sample(sorted({self._seed, *self._links}), len({self._seed, *self._links}))
        for server in known:
            try:
                async with asyncio.timeout(_MAP_TIMEOUT):
                    (ranges,) = await self._link(server).ask([("CLUSTER", "SLOTS")])
            except (RedisError, OSError, TimeoutError):
                continue
            if isinstance(ranges, list):
                self._take_map(ranges, server)
                return
        raise RedisConnectionError("no server of the Cluster answers")

    def _take_map(self, ranges: list[Any], teller: Server) -> None:
        """Each range is first slot, last slot, its primary and then the replicas, each with host and port;
        who does not know its own host is where it was asked."""
        servers: list[Server | None] = [None] * _SLOTS
        known = {self._seed}
        for first, last, *holders in ranges:
            at = [(str(host or teller[0]), int(port)) for host, port, *_ in holders]
            servers[first : last + 1] = [at[0]] * (last + 1 - first)
            known.update(at)
        for gone in self._links.keys() - known:
            self._links.pop(gone).drop()
        for server in known:
            self._link(server)
        self._servers, self._stale = servers, False


def _in_one_place(command: Command) -> Command:
    """A script with one more key, which never exists. Scripts build further keys themselves; while the keys
    of a slot move one by one, such a key may be gone already, and the script would end half-way. With a
    missing key among those that are named, the server refuses it (TRYAGAIN) before it begins."""
    key = _key(command)
    if command[0] not in _SCRIPTS or key is None:
        return command
    count = int(command[2])
    tag = _TAG.search(key)
    missing = f"cs:{{{(tag[1] if tag else key).decode()}}}:never"
    return (*command[:2], count + 1, *command[3 : 3 + count], missing, *command[3 + count :])


def _key(command: Command) -> bytes | None:
    """The key that decides: all keys of a command lie in one slot."""
    if command[0] in _SCRIPTS:
        key = command[3] if int(command[2]) else None
    else:
        key = command[1] if len(command) > 1 else None
    return key if key is None or isinstance(key, bytes) else str(key).encode()


def _word(reply: object) -> str | None:
    """The word that an error begins with."""
    return str(reply).partition(" ")[0] if isinstance(reply, ResponseError) else None
