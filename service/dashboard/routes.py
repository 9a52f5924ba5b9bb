"""The dashboard's pages as one router, with what becomes of errors in a browser."""

from typing import Any

from litestar import Request, Response, Router, get
from litestar.response.redirect import Redirect

from service.api.problems import PROBLEMS
from service.dashboard.blocks import blocks, release
from service.dashboard.health import health
from service.dashboard.opt_outs import opt_outs
from service.dashboard.overview import overview
from service.dashboard.page import go_to, render, static
from service.dashboard.person import person, person_page
from service.dashboard.sign_in import sign_in, sign_in_page, sign_out
from service.dashboard.visit import NotSignedInError
from service.domain.errors import CountersignError


@get("/dashboard", include_in_schema=False)
async def entrance() -> Redirect:
    return go_to("overview")


def _to_sign_in(_: Request[Any, Any, Any], __: NotSignedInError) -> Response[Any]:
    return go_to("sign-in")


def _of_error(_: Request[Any, Any, Any], error: CountersignError) -> Response[bytes]:
    status, title = PROBLEMS[error.slug]
    return render("fault", {"title": title, "detail": error.detail}, status=status)


def dashboard() -> Router:
    """All of it; each page but the sign-in asks for a session."""
    return Router(
        path="/",
        route_handlers=[
            *(entrance, static, sign_in_page, sign_in, sign_out),
            *(overview, person_page, person, opt_outs, blocks, release, health),
        ],
        exception_handlers={NotSignedInError: _to_sign_in, CountersignError: _of_error},
    )
