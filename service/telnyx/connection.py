"""One connection to Telnyx (HTTP/1.1): a request is written, and its answer parsed as it comes.

llhttp, which httptools brings, parses: h11, in Python, took most of what a message cost on its way.
"""

import asyncio
from typing import cast

import httptools
import httpx

_MOST_HEADERS = 64 * 1024
_MOST_BODY = 8 * 1024 * 1024
_FINAL = 200


class Answer:
    """What comes back for one request."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.is_complete = False
        self.is_last = False
        """Whether the connection ends with it, or is in disorder."""
        self._parser = httptools.HttpResponseParser(self)

    def take(self, data: bytes) -> None:
        """Raises httpx.RemoteProtocolError for what is no answer, httpx.ReadError for too large a one."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        if len(self.body) > _MOST_BODY or sum(map(_length, self.headers)) > _MOST_HEADERS:
            raise httpx.ReadError("the answer is too large")

    def end(self) -> None:
        """The server closed the connection. Raises httpx.RemoteProtocolError if that cuts the answer off."""
        framed = {b"content-length", b"transfer-encoding"}
        if self.status < _FINAL or any(name.lower() in framed for name, _ in self.headers):
            raise httpx.RemoteProtocolError("the connection ended before the answer did")
        self.is_complete = self.is_last = True

    def on_message_begin(self) -> None:
        if self.is_complete:  # Nobody asked for another.
            self.is_last = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.is_complete:
            self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if not self.is_complete:
            self.body += body

    def on_message_complete(self) -> None:
        if self.status < _FINAL:  # An interim answer; the one that was asked for follows.
            self.headers.clear()
        elif not self.is_complete:
            self.is_complete = True
            self.is_last = not self._parser.should_keep_alive()


class Connection(asyncio.Protocol):
    """Carries one request at a time. Timeouts are in seconds."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._answer: Answer | None = None
        self._error: Exception | None = None
        self._ended = False
        self._changed: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport = cast("asyncio.Transport", None)

    @property
    def is_open(self) -> bool:
        return not self._ended and not self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    async def ask(self, request: bytes, *, write: float | None, read: float | None) -> Answer:
        """Send a request and wait for its whole answer; ``read`` is the longest silence.

        Raises:
            httpx.TransportError: what went wrong on the way; the request may have arrived.
        """
        self._answer = answer = Answer()
        try:
            await self._write(request, write)
            while not answer.is_complete:
                await self._change(read)
        finally:
            self._answer = None
        if answer.is_last:
            self.close()
        return answer

    async def _write(self, request: bytes, timeout: float | None) -> None:
        if not self.is_open:
            raise httpx.WriteError("the connection is lost")
        self._transport.write(request)
        if self._writable.is_set():
            return
        try:
            async with asyncio.timeout(timeout):
                await self._writable.wait()
        except TimeoutError as error:
            raise httpx.WriteTimeout("the request was not taken") from error

    async def _change(self, timeout: float | None) -> None:
        if self._error is None:
            self._changed = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._changed
            except TimeoutError as error:
                raise httpx.ReadTimeout("no answer came") from error
            finally:
                self._changed = None
        if self._error is not None:
            raise self._error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # Who speaks without being asked is at the end.
            self.close()
            return
        try:
            self._answer.take(data)
        except httpx.TransportError as error:
            self._fail(error)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._writable.set()
        if self._answer is not None and not self._answer.is_complete:
            try:
                self._answer.end()
            except httpx.TransportError as error:
                self._fail(error if exc is None else httpx.ReadError(str(exc)))
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._transport.close()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


def _length(header: tuple[bytes, bytes]) -> int:
    return len(header[0]) + len(header[1])
