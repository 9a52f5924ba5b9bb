"""Errors as RFC 9457 problem details: one table from slug to status and title."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from service.api.ratelimit import ratelimit_headers
from service.domain.errors import CountersignError, RateLimitedError, RetryLaterError
from service.domain.guard import Standing

TYPE_BASE = "/problems/"
MEDIA_TYPE = "application/problem+json"

PROBLEMS: dict[str, tuple[int, str]] = {
    "unauthorized": (401, "The API key is missing or unknown"),
    "forbidden": (403, "The API key lacks the scope"),
    "recipient-opted-out": (403, "The recipient opted out of messages"),
    "country-not-allowed": (403, "No route for the recipient's country"),
    "number-type-not-allowed": (403, "Numbers of this type get no codes"),
    "suspected-fraud": (403, "SMS pumping is suspected"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "notice-closed": (409, "The notice cannot be taken back"),
    "verification-closed": (409, "The verification has ended"),
    "idempotency-in-progress": (409, "The first request is still at work"),
    "app-changed": (412, "Somebody else changed the app"),
    "payload-too-large": (413, "The body is too large"),
    "invalid-request": (422, "The request is not valid"),
    "transaction-mismatch": (422, "The code approves another transaction"),
    "idempotency-mismatch": (422, "The Idempotency-Key was used with another body"),
    "app-exists": (428, "The app is there already"),
    "rate-limited": (429, "A limit is used up"),
    "resend-too-soon": (429, "Too soon for another message"),
    "internal-error": (500, "Internal error"),
    "unavailable": (503, "Temporarily unavailable"),
}
# What the framework itself refuses: a body that cannot be read is an invalid request here.
_FRAMEWORK = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "payload-too-large",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}
_DETAILS = {
    "not-found": "There is nothing at this path.",
    "method-not-allowed": "The path does not take this method; see Allow and /docs.",
    "payload-too-large": "The body is larger than this path takes.",
    "invalid-request": "The request cannot be read.",
    "internal-error": "The fault is ours and has been logged.",
    "unavailable": "Try again later.",
}

log = structlog.get_logger(__name__)


def to_document(
    slug: str, detail: str | None = None, members: Mapping[str, object] | None = None
) -> dict[str, object]:
    """A problem document. Members of the error stand beside the standard ones, ``status`` in its place."""
    status, title = PROBLEMS[slug]
    said = detail or _DETAILS.get(slug, f"{title}.")
    document = {"type": TYPE_BASE + slug, "title": title, "status": status, "detail": said}
    return document | dict(members or {})


def problem(
    slug: str,
    detail: str,
    members: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """A problem document as an answer."""
    return Response(
        json.dumps(to_document(slug, detail, members)).encode(),
        status_code=PROBLEMS[slug][0],
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}) | {"cache-control": "no-store"},
    )


def of_error(request: Request[Any, Any, Any], error: CountersignError) -> Response[bytes]:
    """An error that the domain names."""
    _count(request, error.slug)
    return problem(error.slug, error.detail, error.members, _headers(error))


def of_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """An error of the framework's; its own words are dropped, for they may quote the request."""
    fallback = "internal-error" if error.status_code >= 500 else "invalid-request"
    slug = _FRAMEWORK.get(HTTPStatus(error.status_code), fallback)
    _count(request, slug)
    kept = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return problem(slug, _DETAILS[slug], headers=kept)


def of_anything(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: logged with its trace, told without it."""
    _count(request, "internal-error")
    log.error("request.failed", method=request.method, error=type(error).__name__, exc_info=error)
    return problem("internal-error", _DETAILS["internal-error"])


def _count(request: Request[Any, Any, Any], slug: str) -> None:
    if (parts := request.app.state.get("parts")) is not None:
        parts.metrics.problem(slug)


def _headers(error: CountersignError) -> dict[str, str]:
    if error.slug == "unauthorized":
        return {"www-authenticate": "Bearer"}
    if error.replayed:
        return {"idempotent-replayed": "true"}
    if not isinstance(error, RetryLaterError):
        return {}
    headers = {"retry-after": str(error.retry_after)}
    if isinstance(error, RateLimitedError) and error.window is not None:
        reset = error.retry_after * 1000
        headers |= ratelimit_headers([Standing(error.limit, error.window, 0, reset)])
    return headers
