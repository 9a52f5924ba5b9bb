"""Connections to allowed addresses only, decided when the connection is made.

A check of the name before would be worth nothing: the next answer of the DNS may be another. So the name
is resolved here, every address is looked at, and the connection goes to one that was looked at. TLS is
still verified against the name, which the layer above knows.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpcore

Resolve = Callable[[str, int], Awaitable[list[str]]]


class AddressRefusedError(Exception):
    """The name leads to a private or reserved address; nothing was sent to it."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """The network as callbacks may use it. ``resolve`` gives the addresses of a host, ``may_reach`` says
    whether one may be connected to."""

    def __init__(self, resolve: Resolve, may_reach: Callable[[str], bool]) -> None:
        self._resolve = resolve
        self._may_reach = may_reach
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
            AddressRefusedError: one of the addresses may not be reached.
            httpcore.ConnectError: the name is not known, or no address answers.
        """
        addresses = await self._resolve(host.strip("[]"), port)
        if not all(map(self._may_reach, addresses)):
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
