"""A Telnyx that answers at once, and keeps the text."""

import json
import random
from collections.abc import Callable

from service.cli.bench.wire import Framed

ANSWER = (
    b'{"data":{"id":"40385f64-5717-4562-b3fc-%012x","record_type":"message",'
    b'"to":[{"phone_number":"%s","status":"queued"}]}}'
)


class Sink(Framed):
    """Accepts every message at once and never reports. ``heard`` is told each (as Telnyx was)."""

    def __init__(self, heard: Callable[[dict[str, str]], None]) -> None:
        super().__init__()
        self._heard = heard

    def took(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):  # what became of a message, which never was
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        message = json.loads(body)
        self._heard(message)
        answer = ANSWER % (random.getrandbits(48), message["to"].encode())
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(answer), answer)
        )
