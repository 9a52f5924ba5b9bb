"""The sandbox as a Litestar application."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.sandbox import control, events, inbox, routes
from service.sandbox.config import SandboxConfig
from service.sandbox.errors import TelnyxError, to_response
from service.sandbox.feed import Feed, Topic
from service.sandbox.outage import Outage
from service.sandbox.phones import Network
from service.sandbox.store import Store
from service.sandbox.webhooks import Courier

log = logging.getLogger(__name__)

_MAX_BODY = 1024 * 1024


def build(config: SandboxConfig) -> Litestar:
    """Build a sandbox; without a data directory its state lives and dies with the application.

    Raises:
        StoreError: the data directory cannot be used.
    """
    return Litestar(
        route_handlers=[routes.router, control.router, events.events, inbox.router],
        dependencies={"network": Provide(_network, sync_to_thread=False)},
        exception_handlers={
            TelnyxError: to_response,
            control.ControlError: control.to_response,
            HTTPException: _of_framework,
            Exception: _of_ours,
        },
        middleware=[_Keep()],
        lifespan=[_running],
        state=state_of(config),
        request_max_body_size=_MAX_BODY,
        openapi_config=None,
        logging_config=None,
    )


def state_of(config: SandboxConfig) -> State:
    """What a sandbox is made of before it runs; all else of the application is the same for each."""
    return State({"config": config, "store": Store(config.data)})


@asynccontextmanager
async def _running(app: Litestar) -> AsyncIterator[None]:
    state = app.state
    feed = Feed()
    outage = Outage(lambda: feed.changed(Topic.OUTAGE))
    courier = Courier(state.config, outage)
    state.network = Network(state.config, courier, outage, feed, state.store)
    state.network.resume()
    # Before the server stops: it waits for every answer to end, and a live page's never would.
    state.before_stop = [feed.end]
    yield
    outage.end()
    await courier.close()
    state.store.close()


def _network(request: Request[Any, Any, Any]) -> Network:
    found: Network = request.app.state.network
    return found


class _Keep(ASGIMiddleware):
    """What an answer says is kept before it leaves."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        store: Store = scope["litestar_app"].state.store

        async def send_kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                store.commit()
            await send(message)

        await next_app(scope, receive, send_kept)


def _of_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if error.status_code in (404, 405):
        return to_response(
            request,
            TelnyxError("10005", "The requested resource or URL could not be found."),
        )
    if error.status_code >= 500:
        return _of_ours(request, error)
    detail = "The request could not be read."
    return to_response(request, TelnyxError("10015", detail, status=error.status_code))


def _of_ours(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("a request failed", exc_info=error)
    return to_response(request, TelnyxError("10007", "An unexpected error occurred."))
