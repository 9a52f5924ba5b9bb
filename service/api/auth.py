"""API keys and scopes: ``Authorization: Bearer cs_<key id>_<secret>``."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from service.domain.errors import ForbiddenError, UnauthorizedError
from service.store.api_keys import ApiKey, ApiKeyStore, Scope

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]
_BEARER = "bearer "


def requires(scope: Scope) -> Guard:
    """A guard that lets only keys with the scope pass, and leaves the key in the request's state.

    Raises:
        UnauthorizedError: no key, or one that is unknown or revoked.
        ForbiddenError: the key lacks the scope.
    """

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        keys: ApiKeyStore = connection.app.state.parts.api_keys
        header = connection.headers.get("authorization", "")
        key = None
        if header[: len(_BEARER)].lower() == _BEARER:
            key = await keys.check(header[len(_BEARER) :].strip())
        if key is None:
            raise UnauthorizedError(
                "Send a valid key as 'Authorization: Bearer cs_...'; make one with: countersign keys create"
            )
        if scope not in key.scopes:
            raise ForbiddenError(f"The key needs the scope {scope}.", {"scope": scope})
        connection.state.api_key = key

    return guard


def caller(connection: Connection) -> ApiKey:
    """The key that a guarded request came with."""
    key: ApiKey = connection.state.api_key
    return key
