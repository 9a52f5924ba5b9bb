"""API keys and scopes: ``Authorization: Bearer cs_<key id>_<secret>``."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from service.api.parts import Parts
from service.domain.errors import ForbiddenError, UnauthorizedError
from service.store.api_keys import ApiKey, Scope

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]
_BEARER = "bearer "


def requires(scope: Scope) -> Guard:
    """A guard that lets only keys with the scope pass, and leaves the key in the request's state.

    Raises:
        UnauthorizedError: no key, or one that is unknown or revoked.
        ForbiddenError: the key lacks the scope.
        RateLimitedError: the key made too many requests, or its caller's address sent too many bad ones.
    """

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        parts: Parts = connection.app.state.parts
        header = connection.headers.get("authorization", "")
        key = None
        if header[: len(_BEARER)].lower() == _BEARER:
            key = await parts.api_keys.check(header[len(_BEARER) :].strip())
        if key is None:
            if header:
                parts.key_limits.refused(connection.client.host if connection.client else "")
            raise UnauthorizedError(
                "Send a valid key as 'Authorization: Bearer cs_...'; make one with: countersign keys create"
            )
        if scope not in key.scopes:
            raise ForbiddenError(f"The key needs the scope {scope}.", {"scope": scope})
        connection.state.api_key = key
        connection.state.standings = await parts.key_limits.take(key.id)

    return guard


def caller(connection: Connection) -> ApiKey:
    """The key that a guarded request came with."""
    key: ApiKey = connection.state.api_key
    return key
