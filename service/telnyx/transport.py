"""What carries httpx' requests: httpcore's connection pool over plain asyncio.

httpx' own transport goes through anyio and asks the kernel, before each request, whether each idle connection
has been closed. Here the event loop has told already. Answers are taken in whole: Telnyx's are small.
"""

import asyncio
import ssl
from collections.abc import AsyncIterable, Iterable
from typing import Any, cast

import httpcore
import httpx

_MOST_BODY = 8 * 1024 * 1024
_KEPT = 5.0  # seconds
_MOST_BUFFERED = 256 * 1024


class Transport(httpx.AsyncBaseTransport):
    """An ``httpx`` transport over the connections to one server: the one that was used last is used next.

    Each is one request's alone. httpcore's own pool gives an idle one to all that wait; all but one of them
    then try again, and under load each request tried several times.
    """

    def __init__(self, *, tls: ssl.SSLContext, connections: int) -> None:
        self._tls = tls
        self._room = asyncio.Semaphore(connections)
        self._idle: list[httpcore.AsyncHTTPConnection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises ``httpx``' errors, whose names are ``httpcore``'s."""
        url = request.url
        asked = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=cast("AsyncIterable[bytes]", request.stream),
            extensions=request.extensions,
        )
        try:
            answer, body = await self._exchange(asked)
        except _ERRORS as error:
            raised: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
            raise raised(str(error)) from error
        return httpx.Response(
            answer.status, headers=answer.headers, content=body, extensions=answer.extensions
        )

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()

    async def _exchange(self, asked: httpcore.Request) -> tuple[httpcore.Response, bytes]:
        await self._wait_for_room(asked)
        try:
            connection = await self._take(asked.url.origin)
            try:
                answer = await connection.handle_async_request(asked)
                try:
                    body = await _read(answer)
                finally:
                    await answer.aclose()
            except BaseException:
                await connection.aclose()
                raise
            if connection.is_idle():
                self._idle.append(connection)
            else:
                await connection.aclose()
            return answer, body
        finally:
            self._room.release()

    async def _wait_for_room(self, asked: httpcore.Request) -> None:
        try:
            async with asyncio.timeout(asked.extensions.get("timeout", {}).get("pool")):
                await self._room.acquire()
        except TimeoutError as error:
            raise httpcore.PoolTimeout from error

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.can_handle_request(origin) and not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            origin=origin,
            ssl_context=self._tls,
            keepalive_expiry=_KEPT,
            network_backend=_Network(),
        )


async def _read(answer: httpcore.Response) -> bytes:
    body = bytearray()
    async for part in answer.aiter_stream():
        body += part
        if len(body) > _MOST_BODY:
            raise httpcore.ReadError("the answer is too large")
    return bytes(body)


_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


class _Network(httpcore.AsyncNetworkBackend):
    """Connections of the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - none are asked for
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        local = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                _, stream = await loop.create_connection(_Stream, host, port, local_addr=local)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection, read by one reader at a time. Timeouts in seconds."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ended = False
        self._changed: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport = cast("asyncio.Transport", None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What came, at most ``max_bytes``; nothing at the end."""
        if not self._buffer and not self._ended:
            self._changed = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._changed
            except TimeoutError as error:
                raise httpcore.ReadTimeout from error
            finally:
                self._changed = None
        taken = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        if not self._ended:
            self._transport.resume_reading()
        return taken

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all."""
        if self._transport.is_closing():
            raise httpcore.WriteError("the connection is lost")
        self._transport.write(buffer)
        if self._writable.is_set():
            return
        try:
            async with asyncio.timeout(timeout):
                await self._writable.wait()
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error

    async def aclose(self) -> None:
        self._transport.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Go on encrypted, once the certificate has been checked against the name."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            self._transport.abort()
            raise httpcore.ConnectTimeout from error
        except OSError as error:  # ssl.SSLError is one
            self._transport.abort()
            raise httpcore.ConnectError(str(error)) from error
        self._transport = cast("asyncio.Transport", secured)
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # an idle connection that says something is at its end
            return bool(self._buffer) or self._ended
        return self._transport.get_extra_info(
            {"client_addr": "sockname", "server_addr": "peername"}.get(info, info)
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > _MOST_BUFFERED:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._ended = True
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
