"""Telnyx's errors: code -> HTTP status and title (developers.telnyx.com, "API errors")."""

import json
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response

_CATALOGUE = {
    "10003": (400, "Invalid value"),
    "10004": (422, "Missing required parameter"),
    "10005": (404, "Resource not found"),
    "10007": (500, "Unexpected error"),
    "10009": (401, "Authentication failed"),
    "10010": (403, "Authorization failed"),
    "10011": (429, "Too many requests"),
    "10015": (400, "Bad Request"),
    "10016": (422, "Phone number must be in +E.164 format"),
    "10037": (503, "Service unavailable"),
    "40001": (400, "Not routable"),
    "40008": (0, "Undeliverable"),
    "40020": (403, "Artificial traffic inflation suspected"),
    "40300": (409, "Blocked due to STOP message"),
    "40301": (400, "Unsupported message type"),
    "40302": (400, "Message too large"),
    "40304": (400, "Invalid combination of message content"),
    "40305": (400, "Invalid 'from' address"),
    "40308": (400, "Invalid 'from' address for MMS"),
    "40310": (400, "Invalid 'to' address"),
    "40325": (422, "Invalid alphanumeric sender ID"),
    "40333": (403, "Messaging profile spend limit reached"),
}


class TelnyxError(Exception):
    """A refusal in Telnyx's words; ``pointer`` is into the body, ``parameter`` one of the query."""

    def __init__(
        self,
        code: str,
        detail: str,
        pointer: str | None = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
        *,
        parameter: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.pointer = pointer
        self.parameter = parameter
        self.headers = dict(headers or {})
        self.status = status or _CATALOGUE[code][0]


def not_found() -> TelnyxError:
    return TelnyxError("10005", "The requested resource or URL could not be found.")


def error_object(
    code: str, detail: str, pointer: str | None = None, parameter: str | None = None
) -> dict[str, Any]:
    """One entry of ``errors[]``."""
    found: dict[str, Any] = {
        "code": code,
        "title": _CATALOGUE[code][1],
        "detail": detail,
        "meta": {"url": f"https://developers.telnyx.com/docs/overview/errors/{code}"},
    }
    source = {"pointer": pointer, "parameter": parameter}
    if named := {name: value for name, value in source.items() if value is not None}:
        found["source"] = named
    return found


def to_response(request: Request[Any, Any, Any], error: TelnyxError) -> Response[bytes]:
    """The envelope ``{"errors": [...]}`` with its HTTP status, or the error alone where the operation
    declares it so: a route's ``opt`` names those statuses as ``bare``."""
    found = error_object(error.code, error.detail, error.pointer, error.parameter)
    scope: Mapping[str, Any] = request.scope  # without a handler where no route was found
    handler = scope.get("route_handler")
    bare = handler is not None and error.status in handler.opt.get("bare", ())
    return Response(
        json.dumps(found if bare else {"errors": [found]}).encode(),
        status_code=error.status,
        media_type="application/json",
        headers=error.headers,
    )
