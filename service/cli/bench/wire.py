"""A lean HTTP/1.1 client: what is to be measured is the service, not this."""

import asyncio
import json
import ssl
from typing import Any, cast
from urllib.parse import urlsplit


class Framed(asyncio.Protocol):
    """Whole messages with a Content-Length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            first, self._buffer = self._buffer[:end], self._buffer[end + 4 + length :]
            self.took(first, body)

    def took(self, head: bytes, body: bytes) -> None:
        """A whole message has come."""
        raise NotImplementedError


class Client(Framed):
    """One keep-alive connection, one request at a time."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.is_closed = False

    @classmethod
    async def connect(cls, url: str) -> "Client":
        """Raises OSError."""
        parts = urlsplit(url)
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or (443 if tls else 80)
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: cls(parts.netloc), parts.hostname or "", port, ssl=tls
        )
        return client

    async def ask(
        self, method: str, path: str, body: object = None, key: str = ""
    ) -> tuple[int, Any]:
        """Status, and what the JSON of the answer is. Raises OSError if the connection ends before it."""
        if self.is_closed:
            raise ConnectionResetError("the server closed the connection")
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode() + content)
        status, answer = await self._waiting
        return status, json.loads(answer) if answer[:1] in (b"{", b"[") else answer

    def close(self) -> None:
        self._transport.close()

    def took(self, head: bytes, body: bytes) -> None:
        waiting, self._waiting = self._waiting, None
        if b"\r\nconnection: close" in head.lower():
            self.is_closed = True
        if waiting is not None and not waiting.done():
            waiting.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("the connection was closed"))
