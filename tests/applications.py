"""Applications whose routes a test process makes once, since that takes longer than most tests: two of a
kind differ in nothing but their state, and each has its own."""

from collections.abc import Sequence
from copy import copy
from functools import cache

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.events import SimpleEventEmitter

from service.api.application import create_api
from service.api.parts import Parts
from service.dashboard.routes import dashboard
from service.sandbox.app import build, state_of
from service.sandbox.config import SandboxConfig
from service.tracing import is_tracing


def sandbox(config: SandboxConfig) -> Litestar:
    """As ``service.sandbox.app.build``."""
    return _twin(_sandbox(), state_of(config))


def api(
    parts: Parts,
    *,
    takes_requests: bool = True,
    inspection: bool = True,
    pages: Sequence[Router] = (),
) -> Litestar:
    """As ``service.api.application.create_api``, which it stands for in ``service.app``."""
    made = _api(takes_requests, inspection, bool(pages), is_tracing())
    return _twin(made, State({"parts": parts}))


def _twin(app: Litestar, state: State) -> Litestar:
    found = copy(app)
    found.state = state
    found.event_emitter = SimpleEventEmitter([])
    found.asgi_router = copy(
        app.asgi_router
    )  # It begins and ends what lives as long as its application.
    found.asgi_router.app = found
    return found


@cache
def _sandbox() -> Litestar:
    return build(SandboxConfig(api_key="", signing_seed=bytes(32)))


@cache
def _api(takes_requests: bool, inspection: bool, pages: bool, tracing: bool) -> Litestar:
    return create_api(
        None,
        takes_requests=takes_requests,
        inspection=inspection,
        pages=[dashboard()] if pages else [],
    )
