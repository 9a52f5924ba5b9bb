"""API keys and scopes: ``Authorization: Bearer cs_<key id>_<secret>``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as Asgi

from service.api.parts import Parts
from service.domain.errors import ForbiddenError, UnauthorizedError
from service.domain.guard import Standing
from service.store.api_keys import ApiKey, Scope

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class _Let:
    """Who was let in, and how the key's own limits stand."""

    key: ApiKey
    standings: Sequence[Standing]


class Authorize(ASGIMiddleware):
    """Lets only keys pass that have the scope which the handler names (``opt={"scope": ...}``).

    A middleware, for the framework copies a handler each time that it asks one of its guards.

    Raises:
        UnauthorizedError: no key, or one that is unknown or revoked.
        ForbiddenError: the key lacks the scope.
        RateLimitedError: the key made too many requests, or its caller's address sent too many bad ones.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Asgi, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        wanted = scope["route_handler"].opt.get("scope")
        if wanted is not None:
            scope["state"]["let"] = await self._let_in(scope, wanted)
        await next_app(scope, receive, send)

    async def _let_in(self, scope: Asgi, wanted: Scope) -> _Let:
        parts: Parts = scope["litestar_app"].state.parts
        found = (value for name, value in scope["headers"] if name == b"authorization")
        header, key = next(found, b"").decode("latin-1"), None
        if header[: len(_BEARER)].lower() == _BEARER:
            key = await parts.api_keys.check(header[len(_BEARER) :].strip())
        if key is None:
            if header:
                client = scope["client"]
                parts.key_limits.refused(client[0] if client else "")
            raise UnauthorizedError(
                "Send a valid key as 'Authorization: Bearer cs_...'; make one with: countersign keys create"
            )
        if wanted not in key.scopes:
            raise ForbiddenError(f"The key needs the scope {wanted}.", {"scope": wanted})
        return _Let(key, await parts.key_limits.take(key.id))


def caller(request: Request[Any, Any, Any]) -> ApiKey:
    """The key that a request came with."""
    let: _Let = request.scope["state"]["let"]
    return let.key


def standings(request: Request[Any, Any, Any]) -> Sequence[Standing]:
    """How the limits of its key stand."""
    let: _Let = request.scope["state"]["let"]
    return let.standings
