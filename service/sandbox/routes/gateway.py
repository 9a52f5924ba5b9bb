"""What comes before every operation: outages and the key."""

import asyncio
import hmac
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from service.sandbox.errors import TelnyxError
from service.sandbox.fields import Fields, read_fields
from service.sandbox.phones import Network
from service.sandbox.query import Query

AnyRequest = Request[Any, Any, Any]


async def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard: outages first, then the key, as a gateway would."""
    del handler
    network: Network = connection.app.state.network
    mode = network.outage.mode
    if mode == "down":
        raise TelnyxError("10037", "The service is temporarily unavailable.")
    if mode == "slow":
        await asyncio.sleep(network.config.slow_seconds)
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    known = hmac.compare_digest(key.strip().encode(), network.config.api_key.encode())
    if scheme.lower() != "bearer" or not known:
        raise TelnyxError("10009", "No key found matching the ID with the provided secret.")


async def body_of(request: AnyRequest, *, wrong: int = 400) -> Fields:
    return read_fields(await request.body(), content_type=content_type(request), wrong=wrong)


def content_type(request: AnyRequest) -> str:
    return request.headers.get("content-type", "")


def query_of(request: AnyRequest, *, wrong: int = 400) -> Query:
    return Query(dict(request.query_params.items()), wrong=wrong)
