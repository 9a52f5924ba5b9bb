"""A lean HTTP/1.1 client and a Telnyx that answers at once: what is measured is the service, not these."""

import asyncio
import json
import random
from typing import Any, cast

ANSWER = (
    b'{"data":{"id":"40385f64-5717-4562-b3fc-%012x","record_type":"message",'
    b'"to":[{"phone_number":"%s","status":"queued"}]}}'
)


class _Framed(asyncio.Protocol):
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
        raise NotImplementedError


class Client(_Framed):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def connect(cls, port: int) -> "Client":
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    async def ask(self, method: str, path: str, body: object = None, key: str = "") -> Any:
        """The JSON of an answer; the status must be a success."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode() + content)
        status, answer = await self._waiting
        assert 200 <= status < 300, (status, answer)
        return json.loads(answer) if answer[:1] in b"{[" else answer

    def close(self) -> None:
        self._transport.close()

    def took(self, head: bytes, body: bytes) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError())


class Sink(_Framed):
    """Accepts every message at once, keeps its text, and never reports."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self._texts = texts

    def took(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):  # what became of a message, which never was
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        message = json.loads(body)
        self._texts[message["to"]] = message["text"]
        answer = ANSWER % (random.getrandbits(48), message["to"].encode())
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(answer), answer)
        )
