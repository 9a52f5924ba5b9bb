"""Signing in with an API key, and out."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response.redirect import Redirect

from service.api.parts import Parts
from service.dashboard.page import go_to, render
from service.dashboard.visit import COOKIE, cookie, read_form, signed_in, visit_of
from service.domain.errors import RateLimitedError
from service.store.api_keys import Scope

_WRONG = "That is no key that is valid now. A key has the form cs_<id>_<secret>."
_NO_SCOPE = "That key lacks the scope audit. Make one with: countersign keys create --scope audit"
_TOO_MANY = "Too many keys were wrong. Wait a little, then try again."


@get("/dashboard/sign-in", include_in_schema=False)
async def sign_in_page() -> Response[bytes]:
    return render("sign_in", {"fault": ""})


@post("/dashboard/sign-in", include_in_schema=False)
async def sign_in(request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Response[Any]:
    fields = await read_form(request, None)
    key = await parts.api_keys.check(fields.get("key", "").strip())
    if key is None:
        try:
            parts.key_limits.refused(request.client.host if request.client else "")
        except RateLimitedError as error:
            answer = render("sign_in", {"fault": _TOO_MANY}, status=429)
            answer.headers["retry-after"] = str(error.retry_after)
            return answer
        return render("sign_in", {"fault": _WRONG}, status=403)
    if Scope.AUDIT not in key.scopes:
        return render("sign_in", {"fault": _NO_SCOPE}, status=403)
    token = await parts.sessions.begin(key.id, parts.clock.now())
    overview = go_to("overview")
    overview.cookies = [cookie(token, is_https=parts.is_https)]
    return overview


@post("/dashboard/sign-out", guards=[signed_in], include_in_schema=False)
async def sign_out(request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Redirect:
    await read_form(request, visit_of(request))
    await parts.sessions.end(request.cookies[COOKIE])
    answer = go_to("sign-in")
    answer.cookies = [cookie("", is_https=parts.is_https)]
    return answer
