"""One connection that all requests of a process share.

What is asked in the same turn of the event loop leaves in one write, and answers come back in the order
of the questions (Redis' pipelining), so 50 requests at once cost few system calls and no pool. There is
no retry: a connection that breaks, or does not answer in time, fails everything that waits on it, and the
next question connects anew.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import hiredis
from redis.asyncio.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command = Sequence[str | float | bytes]
"""A command and its arguments."""

Locate = Callable[[], Awaitable[tuple[str, int]]]

_MOST_WAITING = 10_000
_COPY_TIMEOUT = 500  # milliseconds
_DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and how it is greeted. ``path`` names a unix socket."""

    host: str = "localhost"
    port: int = _DEFAULT_PORT
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    tls: ssl.SSLContext | None = None

    def greeting(self) -> list[Command]:
        """What is said first."""
        said: list[Command] = []
        if self.password is not None:
            said.append(("AUTH", *([self.username] if self.username else []), self.password))
        if self.db:
            said.append(("SELECT", self.db))
        return said


def read_address(url: str, tls: ssl.SSLContext | None) -> Address:
    """A ``redis://``, ``rediss://`` or ``unix://`` URL. Raises ValueError if it is none."""
    found = cast("dict[str, Any]", parse_url(url))
    known = ("host", "port", "path", "username", "password", "db")
    return Address(**{name: found[name] for name in known if name in found}, tls=tls)


@dataclass(slots=True)
class _Asked:
    """Commands that wait for their replies; ``since`` by the loop's clock."""

    count: int
    since: float
    answered: "asyncio.Future[list[Any]]"
    replies: list[Any] = field(default_factory=list)


class NotCopiedError(RedisError):
    """What was written may be lost with its primary: no replica has it yet."""


class Link:
    """Asks the server, and connects when it has to. Times in seconds."""

    def __init__(
        self,
        address: Address,
        *,
        connect_timeout: float,
        answer_timeout: float,
        locate: Locate | None = None,
    ) -> None:
        """``locate``: says before each connection where the primary is now."""
        self._address = address
        self._locate = locate
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[_Wire] | None = None

    async def ask(self, commands: Sequence[Command], *, copied: bool = False) -> list[Any]:
        """The replies, in order; what the server refused stands among them as a ``ResponseError``.
        ``copied``: only once a replica has what was written.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError, OSError: the commands may have run, or not.
            NotCopiedError: no replica has it in time.
        """
        if not commands:
            return []
        wire = self._wire
        if wire is None or wire.lost:
            wire = await self._connect()
        replies = await wire.ask(commands)
        if copied and await wire.copies() < 1:
            raise NotCopiedError
        return replies

    @property
    def delay(self) -> float:
        """Seconds that the oldest question waits for its answer; 0 if there is none."""
        return self._wire.delay if self._wire is not None else 0.0

    def drop(self) -> None:
        """End the connection; the next question connects anew."""
        if self._wire is not None:
            self._wire.end(RedisConnectionError("dropped"))

    async def _connect(self) -> "_Wire":
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._open())
        # Whoever waits may be cancelled; the connection is everybody's.
        return await asyncio.shield(self._connecting)

    async def _open(self) -> "_Wire":
        loop, at = asyncio.get_running_loop(), self._address
        greeting = at.greeting()
        if self._locate is not None:
            host, port = await self._locate()
            at = replace(at, host=host, port=port)
            greeting.append(("ROLE",))
        try:
            async with asyncio.timeout(self._connect_timeout):
                if at.path is not None:
                    _, wire = await loop.create_unix_connection(self._protocol, at.path)
                else:
                    _, wire = await loop.create_connection(
                        self._protocol, at.host, at.port, ssl=at.tls
                    )
                replies = await wire.ask(greeting) if greeting else []
        except TimeoutError:
            raise RedisTimeoutError("no connection in time") from None
        refused = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if refused is not None:
            wire.end(RedisConnectionError("refused"))
            raise RedisConnectionError("the server refuses the credentials or the database")
        if self._locate is not None and replies[-1][0] != "master":
            # The Sentinel that was asked has not heard of a failover yet, or it is under way.
            wire.end(RedisConnectionError("no primary"))
            raise RedisConnectionError("the server is no primary")
        self._wire = wire
        return wire

    def _protocol(self) -> "_Wire":
        return _Wire(self._answer_timeout)


class _Wire(asyncio.Protocol):
    """One connection, as long as it lasts."""

    def __init__(self, timeout: float) -> None:
        self.lost = False
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(encoding="utf-8", replyError=_to_error)
        self._asked: deque[_Asked] = deque()
        self._outgoing: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._copying: asyncio.Task[int] | None = None

    async def copies(self) -> int:
        """How many replicas have all that was answered on this connection so far. WAIT holds up whatever
        comes after it, so those who ask in the same turn of the loop share one."""
        if self._copying is None:
            self._copying = self._loop.create_task(self._count_copies())
        return await asyncio.shield(self._copying)

    async def _count_copies(self) -> int:
        self._copying = None  # What is answered from here on needs a WAIT of its own.
        (count,) = await self.ask([("WAIT", 1, _COPY_TIMEOUT)])
        if isinstance(count, ResponseError):
            raise count
        return int(count)

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        if self.lost:
            raise RedisConnectionError("the connection is lost")
        if len(self._asked) >= _MOST_WAITING:
            raise RedisConnectionError("too many questions wait for an answer")
        asked = _Asked(len(commands), self._loop.time(), self._loop.create_future())
        self._asked.append(asked)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing += [
            hiredis.pack_command(cast("Any", tuple(command))) for command in commands
        ]
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        return await asked.answered

    @property
    def delay(self) -> float:
        return self._loop.time() - self._asked[0].since if self._asked else 0.0

    def end(self, why: Exception) -> None:
        """Fail whatever waits."""
        self.lost = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._transport is not None:
            self._transport.abort()
        while self._asked:
            answered = self._asked.popleft().answered
            if not answered.done():
                answered.set_exception(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(RedisConnectionError(f"the connection is lost: {type(exc).__name__}"))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except (hiredis.ProtocolError, IndexError, UnicodeDecodeError):
            self.end(RedisConnectionError("the server does not speak Redis' protocol"))

    def _take(self, reply: object) -> None:
        asked = self._asked[0]
        asked.replies.append(reply)
        if len(asked.replies) == asked.count:
            self._asked.popleft()
            if not asked.answered.done():  # Whoever asked may be gone.
                asked.answered.set_result(asked.replies)

    def _flush(self) -> None:
        packed, self._outgoing = b"".join(self._outgoing), []
        if self._transport is not None and not self.lost:
            self._transport.write(packed)

    def _look(self) -> None:
        """Answers come in order: if the oldest question is not overdue, none is."""
        self._watch = None
        if not self._asked:
            return
        left = self._asked[0].since + self._timeout - self._loop.time()
        if left <= 0:
            self.end(RedisTimeoutError("no answer in time"))
        else:
            self._watch = self._loop.call_later(left, self._look)


def _to_error(message: str) -> Exception:
    return NoScriptError(message) if message.startswith("NOSCRIPT") else ResponseError(message)
