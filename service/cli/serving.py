"""Serving an application until SIGTERM or SIGINT, in this process and on its event loop."""

import asyncio
import base64
import binascii
import os
import signal
import socket

import structlog
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar import Litestar

from service.app import Role, build
from service.cli.secrets import new_key
from service.sandbox.app import build as build_sandbox
from service.sandbox.config import SandboxConfig
from service.settings import Settings
from service.telemetry import configure_logging

_HEADER_TIMEOUT = 10_000  # milliseconds; a slow client must not hold a connection
_BACKLOG = 1024

log = structlog.get_logger(__name__)


async def serve_service(settings: Settings, role: Role, host: str, port: int) -> None:
    """Serve the API, the worker or both; a stop finishes what is in flight.

    Raises:
        UnavailableError, StoreSetupError: the store cannot be used.
        OSError: the address cannot be listened on.
    """
    configure_logging(settings.log_level)
    async with build(settings, role) as service:
        await _serve(service.api, host, port)


async def serve_sandbox(host: str, port: int, webhook_url: str, report_delay: float) -> None:
    """Serve the Telnyx emulator.

    Raises:
        ValueError: SANDBOX_SEED is not Base64 of 32 bytes.
        OSError: the address cannot be listened on.
    """
    configure_logging()
    given = os.environ.get("SANDBOX_SEED")
    config = SandboxConfig(
        api_key=os.environ.get("TELNYX_API_KEY", "sandbox"),
        signing_seed=_seed(given or new_key()),
        profile_webhook_url=webhook_url,
        report_delay=report_delay,
    )
    if given is None:
        print(f"TELNYX_PUBLIC_KEY={config.public_key}", flush=True)
    await _serve(build_sandbox(config), host, port)


async def _serve(app: Litestar, host: str, port: int) -> None:
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
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    log.info("serving", host=host, port=port, pid=os.getpid())
    await server.serve()
    log.info("stopped", pid=os.getpid())


def _check_free(host: str, port: int) -> None:
    """The server would only log that it cannot listen. Raises OSError if it could not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _seed(text: str) -> bytes:
    try:
        seed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        seed = b""
    if len(seed) != 32:
        raise ValueError(
            "SANDBOX_SEED must be Base64 of 32 bytes; make one with: countersign keyring generate"
        )
    return seed
