"""Serving an application in this process and on its event loop."""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

_HEADER_TIMEOUT = 10_000  # milliseconds; a slow client must not hold a connection
_BACKLOG = 1024
_CONNECTIONS = 8_192
"""At once in a process. Idle and slow ones hold a place each, so there must be more than who wants to keep
others out will have; what is at work is limited by ``api/admission.py``."""
_OTHER_FILES = 256
_UNAVAILABLE = 503
_QUARTER, _MOST_QUARTERS = 0.25, 20
"""Seconds without a request after which nobody is left to be told, and how often it is waited for that."""

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """An application and where it listens: at its address, or on a socket that was inherited (the number of
    its descriptor). ``before_stop`` ends what streams without end: a stop waits for every answer."""

    app: Asgi
    host: str
    port: int
    before_stop: Callable[[], None] = lambda: None
    inherited: int | None = None


async def serve(*sites: Site) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished, and who holds a connection is told
    that it ends.

    Raises:
        OSError: an address cannot be listened on.
    """
    for site in sites:
        if site.inherited is None:
            _check_free(site.host, site.port)
    last_calls = [LastCall(site.app) for site in sites]
    servers = [make_server(site, app) for site, app in zip(sites, last_calls, strict=True)]
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    for site in sites:
        log.info("serving", host=site.host, port=site.port, pid=os.getpid())
    running = [asyncio.ensure_future(server.serve()) for server in servers]
    ending = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({ending, *running}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    for site in sites:
        site.before_stop()
        if site.inherited is not None:
            _accept_no_more(site.inherited)
    await asyncio.gather(*(app.until_quiet() for app in last_calls))
    for server in servers:
        server.stop()  # type: ignore[no-untyped-call]
    await asyncio.gather(*running)
    log.info("stopped", pid=os.getpid())


class LastCall:
    """Before a stop: answers end their connections, so that nobody sends a request into one that is just
    being closed, and ``/readyz`` sends load balancers elsewhere."""

    def __init__(self, app: Asgi) -> None:
        self._app = app
        self._requests = 0
        self._is_ending = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not self._is_ending:
            await self._app(scope, receive, send)
            return
        self._requests += 1

        async def send_last(message: Any) -> None:
            if message["type"] == "http.response.start":
                if scope["path"] == "/readyz":
                    message["status"] = _UNAVAILABLE
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_last)

    async def until_quiet(self) -> None:
        """Until no request came for a while; with steady ones, not for ever."""
        self._is_ending = True
        for _ in range(_MOST_QUARTERS):
            before = self._requests
            await asyncio.sleep(_QUARTER)
            if self._requests == before:
                return


class _InheritingServer(Server):
    """Serves a socket that this process did not open."""

    inherited: int

    def _init_shared_socket(self) -> None:
        # As granian hands its own socket to its workers where ports cannot be shared.
        holder: Any = SocketHolder
        self._ssp, self._shd = None, holder(self.inherited, False, _BACKLOG)
        self._sfd = self._shd.get_fd()  # type: ignore[attr-defined]


def make_server(site: Site, app: Asgi) -> Server:
    """A server of the application, with its limits."""
    kind = Server if site.inherited is None else _InheritingServer
    server = kind(
        app,
        address=site.host,
        port=site.port,
        interface=Interfaces.ASGI,
        backlog=_BACKLOG,
        backpressure=_connections(),
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT),
        log_enabled=False,
    )
    if isinstance(server, _InheritingServer):
        server.inherited = site.inherited or 0
    return server


def _connections() -> int:
    """How many the system allows, once it was asked for more (many begin with 1,024 open files)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(soft - _OTHER_FILES, _CONNECTIONS), _OTHER_FILES)


def _accept_no_more(inherited: int) -> None:
    """Leave new connections to the processes that share the socket. Its queue is one for all, and the server
    cannot stop accepting without closing what it serves; so its descriptor comes to be a socket that nobody
    can reach."""
    with socket.socket() as nobodys:
        nobodys.bind(("127.0.0.1", 0))
        nobodys.listen(1)
        nobodys.setblocking(False)
        os.dup2(nobodys.fileno(), inherited)


def _check_free(host: str, port: int) -> None:
    """The server would only log that it cannot listen. Raises OSError if it could not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
