"""Connections to public addresses only, decided when the connection is made.

A check of the name before would be worth nothing: the next answer of the DNS may be another. So the name
is resolved here, every address is looked at, and the connection goes to one that was looked at. TLS is
still verified against the name, which the layer above knows.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpcore

from service.domain.address import is_public

Resolve = Callable[[str, int], Awaitable[list[str]]]


class AddressRefusedError(Exception):
    """The name leads to a private or reserved address; nothing was sent to it."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """The network as callbacks may use it. ``resolve`` gives the addresses of a host."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            AddressRefusedError: one of the addresses is not public.
            httpcore.ConnectError: the name is not known, or no address answers.
        """
        addresses = await self._resolve(host.strip("[]"), port)
        if not self._allow_private and not all(map(_may_be_reached, addresses)):
            raise AddressRefusedError
        failed: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


def _may_be_reached(address: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(address))
    except ValueError:
        return False


class Resolver:
    """The system's resolver on threads of its own: names that are answered slowly, or never, hold up
    nobody else's work."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name is not known") from error

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
