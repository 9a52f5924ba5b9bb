"""Serving an application in this process and on its event loop."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

_HEADER_TIMEOUT = 10_000  # milliseconds; a slow client must not hold a connection
_BACKLOG = 1024

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """An application and where it listens. ``before_stop`` ends what streams without end: a stop
    waits for every answer."""

    app: Asgi
    host: str
    port: int
    before_stop: Callable[[], None] = lambda: None


async def serve(*sites: Site) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished.

    Raises:
        OSError: an address cannot be listened on.
    """
    for site in sites:
        _check_free(site.host, site.port)
    servers = [_server(site) for site in sites]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for site, server in zip(sites, servers, strict=True):
            site.before_stop()
            server.stop()  # type: ignore[no-untyped-call]

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    for site in sites:
        log.info("serving", host=site.host, port=site.port, pid=os.getpid())
    await asyncio.gather(*(server.serve() for server in servers))
    log.info("stopped", pid=os.getpid())


def _server(site: Site) -> Server:
    return Server(
        site.app,
        address=site.host,
        port=site.port,
        interface=Interfaces.ASGI,
        backlog=_BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT),
        log_enabled=False,
    )


def _check_free(host: str, port: int) -> None:
    """The server would only log that it cannot listen. Raises OSError if it could not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
