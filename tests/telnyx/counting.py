"""A Telnyx that only ever says one thing."""

import json
from typing import Any

from litestar import Litestar, Request, Response, route


class Counting:
    """A Telnyx that gives one answer to everything, and counts how often it was asked."""

    def __init__(self, status: int, body: object = None, **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers
        self.asked = 0

    def app(self) -> Litestar:
        @route("/{path:path}", http_method=["GET", "POST", "DELETE"], status_code=200)
        async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
            await request.body()
            self.asked += 1
            headers = {name.replace("_", "-"): value for name, value in self.headers.items()}
            content = json.dumps(self.body).encode()
            return Response(content, status_code=self.status, headers=headers)

        return Litestar([answer], openapi_config=None, logging_config=None)
