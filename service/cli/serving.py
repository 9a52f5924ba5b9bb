"""Serving an application in this process and on its event loop."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

_HEADER_TIMEOUT = 10_000  # milliseconds; a slow client must not hold a connection
_BACKLOG = 1024

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
log = structlog.get_logger(__name__)


async def serve(app: Asgi, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished.

    Raises:
        OSError: the address cannot be listened on.
    """
    _check_free(host, port)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        backlog=_BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT),
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # What streams without end must end first: a stop waits for every answer.
        for end in app.state.get("before_stop", ()):
            end()
        server.stop()  # type: ignore[no-untyped-call]

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    log.info("serving", host=host, port=port, pid=os.getpid())
    await server.serve()
    log.info("stopped", pid=os.getpid())


def _check_free(host: str, port: int) -> None:
    """The server would only log that it cannot listen. Raises OSError if it could not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
