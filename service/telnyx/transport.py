"""What carries httpx' requests: kept connections over plain asyncio.

httpx' own transport goes through httpcore, h11 and anyio, and asks the kernel, before each request, whether
each idle connection has been closed. Here the event loop has told already. Answers are taken in whole:
Telnyx's are small.
"""

import asyncio
import ssl
from collections.abc import Mapping

import httpx

from service.telnyx.connection import Answer, Connection

_KEPT = 5.0  # seconds


class Transport(httpx.AsyncBaseTransport):
    """An ``httpx`` transport over the connections to one server: the one that was used last is used next.
    Each is one request's alone."""

    def __init__(self, *, tls: ssl.SSLContext, connections: int) -> None:
        self._tls = tls
        self._tls.set_alpn_protocols(["http/1.1"])
        self._room = asyncio.Semaphore(connections)
        self._idle: dict[tuple[bytes, bytes, int | None], list[Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises httpx.TransportError."""
        whole = framed(head_of(request), await request.aread())
        answer = await self.ask(request.url, whole, request.extensions.get("timeout", {}))
        return to_response(answer, request)

    async def ask(
        self, url: httpx.URL, request: bytes, timeouts: Mapping[str, float | None]
    ) -> Answer:
        """Send a request as it stands. Raises httpx.TransportError."""
        await self._enter(timeouts.get("pool"))
        try:
            connection = await self._take(url, timeouts.get("connect"))
            try:
                answer = await connection.ask(
                    request, write=timeouts.get("write"), read=timeouts.get("read")
                )
            except BaseException:
                connection.close()
                raise
            self._keep(url, connection)
        finally:
            self._room.release()
        return answer

    async def _enter(self, timeout: float | None) -> None:
        if not self._room.locked():  # As mostly: without a timer.
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(timeout):
                await self._room.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout("all connections are in use") from error

    async def aclose(self) -> None:
        for connections in self._idle.values():
            while connections:
                connections.pop().close()

    async def _take(self, url: httpx.URL, timeout: float | None) -> Connection:
        idle = self._idle.get(_origin(url), [])
        while idle:
            connection = idle.pop()
            if connection.is_open and _now() - connection.idle_since < _KEPT:
                return connection
            connection.close()
        tls = self._tls if url.scheme == "https" else None
        port = url.port or (443 if tls else 80)
        try:
            async with asyncio.timeout(timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, url.host, port, ssl=tls
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection was made") from error
        except OSError as error:  # ssl.SSLError is one
            raise httpx.ConnectError(str(error)) from error
        return connection

    def _keep(self, url: httpx.URL, connection: Connection) -> None:
        if connection.is_open:
            connection.idle_since = _now()
            self._idle.setdefault(_origin(url), []).append(connection)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _origin(url: httpx.URL) -> tuple[bytes, bytes, int | None]:
    return url.raw_scheme, url.raw_host, url.port


def to_response(answer: Answer, request: httpx.Request | None = None) -> httpx.Response:
    """An answer as everybody else knows it."""
    return httpx.Response(
        answer.status, headers=answer.headers, content=bytes(answer.body), request=request
    )


def head_of(request: httpx.Request) -> bytes:
    """The head of a request, but for the length of its body and the blank line. Raises
    httpx.LocalProtocolError for what would be another request, or a second one."""
    if request.method == "HEAD" or "transfer-encoding" in request.headers:
        raise httpx.LocalProtocolError("only requests and answers with a length are carried")
    lines = [request.method.encode() + b" " + request.url.raw_path + b" HTTP/1.1"]
    lines += [
        name + b": " + value
        for name, value in request.headers.raw
        if name.lower() != b"content-length"
    ]
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise httpx.LocalProtocolError("a header has a line break in it")
    return head + b"\r\n"


def framed(head: bytes, body: bytes) -> bytes:
    """A request as it is sent, of its ``head_of`` and its body."""
    return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)
