"""What the guard blocks, with the figures that say why, and the button that ends it."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response.redirect import Redirect

from service.api.parts import Parts
from service.dashboard.page import go_to, render
from service.dashboard.visit import read_form, signed_in, visit_of
from service.domain import breaker
from service.domain.audit import of_breaker_release, of_release
from service.domain.errors import ForbiddenError, InvalidRequestError
from service.domain.pumping import Dimension
from service.store.api_keys import Scope
from service.store.keys import is_digest

_DIMENSIONS = {
    Dimension.RUN: "A run of consecutive numbers",
    Dimension.PREFIX: "Numbers that begin alike",
    Dimension.CLIENT: "Starts from one network",
    Dimension.COUNTRY: "A whole country",
    Dimension.APP: "A whole app",
}


@get("/dashboard/blocks", guards=[signed_in], include_in_schema=False)
async def blocks(request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Response[bytes]:
    visit, now = visit_of(request), parts.clock.now()
    found = await parts.pumping.blocks(now)
    opened = await parts.breakers.opened()
    values = {
        "now": now,
        "dimensions": _DIMENSIONS,
        "blocks": [one for one in found if visit.may_see(one.about.get("app"))],
        "breakers": [one for one in opened if visit.may_see(one.about.get("app"))],
        "rule": breaker.RULE,
    }
    return render("blocks", values, visit=visit)


@post("/dashboard/blocks/release", guards=[signed_in], include_in_schema=False)
async def release(request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Redirect:
    """Somebody else may have released it meanwhile: the list then shows so."""
    visit = visit_of(request)
    if not visit.is_admin:
        raise ForbiddenError("The key needs the scope admin.", {"scope": Scope.ADMIN})
    key = (await read_form(request, visit)).get("key", "")
    dimension, _, name = key.partition(":")
    now, actor = parts.clock.now(), visit.key.id
    if dimension == breaker.RULE:
        await parts.breakers.close(name, now, of_breaker_release(name, now, actor=actor))
    elif dimension in set(Dimension) and is_digest(name):
        event = of_release(key, now, actor=actor)
        await parts.pumping.release(Dimension(dimension), name, event)
    else:
        raise InvalidRequestError.at("key", "is no block's")
    return go_to("blocks")
