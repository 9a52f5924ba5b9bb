"""Who looks at a page: the session behind the cookie, and the API key that it stands for.

The cookie is for ``/dashboard`` alone, unreadable for scripts and sent by no other site's page
(``SameSite=Strict``); each form carries a token of its session besides (OWASP ASVS 5.0, 3.3 and 3.5).
"""

import hmac
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from service.api.body import read_raw
from service.api.parts import Parts
from service.domain.errors import ForbiddenError, UnauthorizedError
from service.store.api_keys import ApiKey, Scope
from service.store.sessions import LONGEST

COOKIE = "countersign_session"
Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """A signed-in look at a page."""

    key: ApiKey
    form_token: str

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.key.scopes

    def may_see(self, app: str | None) -> bool:
        """A key sees its own app; with the scope ``admin`` it sees all."""
        return self.is_admin or app == self.key.app


class NotSignedInError(UnauthorizedError):
    """There is no session, or it is over."""


async def signed_in(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard that leaves the visit in the request's state. Raises NotSignedInError."""
    parts: Parts = connection.app.state.parts
    token = connection.cookies.get(COOKIE, "")
    session = await parts.sessions.find(token, parts.clock.now()) if token else None
    key = await parts.api_keys.live(session.key_id) if session is not None else None
    if session is None or key is None or Scope.AUDIT not in key.scopes:
        raise NotSignedInError("Sign in first.")
    connection.state.visit = Visit(key, session.form_token)


def visit_of(connection: Connection) -> Visit:
    """The visit of a guarded request."""
    found: Visit = connection.state.visit
    return found


async def read_form(request: Request[Any, Any, Any], visit: Visit | None) -> dict[str, str]:
    """A form's fields.

    Raises:
        ForbiddenError: another site sent it.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForbiddenError("The form came from another site.")
    body = await read_raw(request)
    fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    token = fields.pop("form_token", "")
    if visit is not None and not hmac.compare_digest(token.encode(), visit.form_token.encode()):
        raise ForbiddenError("The form is of another session: open the page anew.")
    return fields


def cookie(token: str, *, is_https: bool) -> Cookie:
    """The session's cookie; an empty token takes it back."""
    return Cookie(
        key=COOKIE,
        value=token,
        path="/dashboard",
        max_age=LONGEST // 1000 if token else 0,
        secure=is_https,
        httponly=True,
        samesite="strict",
    )
