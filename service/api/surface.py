"""What holds for every answer, whoever made it: its security headers, and that it reaches the caller."""

import asyncio
from typing import Any

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.tracing import called_by

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_TOO_LARGE = 413
_MOST_DRAINED = 4 * 1024 * 1024
_DRAIN_SECONDS = 2.0


async def add_headers(message: Message, scope: Scope) -> None:
    """A hook before each answer, those of the router among them."""
    del scope
    if message["type"] == "http.response.start":
        own = list(message.get("headers", ()))
        names = {name.lower() for name, _ in own}
        message["headers"] = [*own, *(one for one in SECURITY_HEADERS if one[0] not in names)]


class LinkCaller(ASGIMiddleware):
    """Keeps the caller's ``traceparent`` for the traces of this request."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        found = (value for name, value in scope["headers"] if name == b"traceparent")
        called_by(next(found, b"").decode("latin-1") or None)
        await next_app(scope, receive, send)


class TakeIn(ASGIMiddleware):
    """Takes in the rest of a body that is refused for its size: a connection that is closed with
    unread data in it may lose the answer on its way."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _TOO_LARGE:
                await _drain(receive)
            await send(message)

        await next_app(scope, receive, send_safely)


async def _drain(receive: Receive) -> None:
    taken = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while taken < _MOST_DRAINED:
                message: Any = await receive()
                taken += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return
