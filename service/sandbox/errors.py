"""Telnyx's errors: code -> HTTP status and title (developers.telnyx.com, "API errors")."""

import json
from collections.abc import Mapping
from typing import Any

from litestar import Response

_CATALOGUE = {
    "10003": (400, "Invalid value"),
    "10004": (422, "Missing required parameter"),
    "10005": (404, "Resource not found"),
    "10007": (500, "Unexpected error"),
    "10009": (401, "Authentication failed"),
    "10011": (429, "Too many requests"),
    "10015": (400, "Bad Request"),
    "10016": (400, "Phone number must be in +E.164 format"),
    "10037": (503, "Service unavailable"),
    "40001": (400, "Not routable"),
    "40008": (0, "Undeliverable"),
    "40300": (409, "Blocked due to STOP message"),
    "40301": (400, "Unsupported message type"),
    "40302": (400, "Message too large"),
    "40305": (400, "Invalid 'from' address"),
    "40310": (400, "Invalid 'to' address"),
}


class TelnyxError(Exception):
    """A refusal in Telnyx's words."""

    def __init__(
        self,
        code: str,
        detail: str,
        pointer: str | None = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.pointer = pointer
        self.headers = dict(headers or {})
        self.status = status or _CATALOGUE[code][0]


def error_object(code: str, detail: str, pointer: str | None = None) -> dict[str, Any]:
    """One entry of ``errors[]``."""
    found: dict[str, Any] = {
        "code": code,
        "title": _CATALOGUE[code][1],
        "detail": detail,
        "meta": {"url": f"https://developers.telnyx.com/docs/overview/errors/{code}"},
    }
    if pointer is not None:
        found["source"] = {"pointer": pointer}
    return found


def to_response(_: object, error: TelnyxError) -> Response[bytes]:
    """The envelope ``{"errors": [...]}`` with its HTTP status."""
    body = {"errors": [error_object(error.code, error.detail, error.pointer)]}
    return Response(
        json.dumps(body).encode(),
        status_code=error.status,
        media_type="application/json",
        headers=error.headers,
    )
