"""Operations: health, metrics and the API's own description."""

from functools import cache
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.params import FromPath

from service.api.openapi import render_docs, to_document, to_json
from service.api.parts import Parts
from service.api.problems import PROBLEMS
from service.domain.errors import NotFoundError

_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


_HEALTHY = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["status"],
            "properties": {"status": {"const": "ok"}},
        },
        "example": {"status": "ok"},
    }
}
_DOCUMENT = {"application/json": {"schema": {"type": "object"}}}
_METRICS = {"text/plain": {"schema": {"type": "string"}}}
_PAGE = {"text/html": {"schema": {"type": "string"}}}
_PROBLEM = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["slug", "status", "title"],
            "properties": {
                "slug": {"type": "string"},
                "status": {"type": "integer"},
                "title": {"type": "string"},
            },
        },
        "example": {"slug": "not-found", "status": 404, "title": "Not found"},
    }
}


@get(
    "/livez",
    operation_id="livez",
    summary="The process answers",
    tags=["operations"],
    opt={"content": _HEALTHY},
)
async def livez() -> Response[bytes]:
    return Response(b'{"status":"ok"}', media_type=MediaType.JSON)


@get(
    "/readyz",
    operation_id="readyz",
    summary="The process can do its work: Redis answers",
    tags=["operations"],
    opt={"problems": ("unavailable",), "content": _HEALTHY},
)
async def readyz(parts: NamedDependency[Parts]) -> Response[bytes]:
    await parts.connection.command("PING")
    return Response(b'{"status":"ok"}', media_type=MediaType.JSON)


@get(
    "/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    tags=["operations"],
    opt={"content": _METRICS},
)
async def metrics(parts: NamedDependency[Parts]) -> Response[bytes]:
    return Response(parts.metrics.render(), media_type="text/plain; version=0.0.4")


@get(
    "/openapi.json",
    operation_id="openapi",
    summary="This document",
    tags=["operations"],
    opt={"content": _DOCUMENT},
)
async def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    return Response(to_json(to_document(_described(request))), media_type=MediaType.JSON)


@get(
    "/docs",
    operation_id="docs",
    summary="This document, to read",
    tags=["operations"],
    opt={"content": _PAGE},
)
async def docs(request: Request[Any, Any, Any]) -> Response[bytes]:
    return Response(
        _docs(_described(request)),
        media_type=MediaType.HTML,
        headers={"content-security-policy": _CSP},
    )


@get(
    "/problems/{slug:str}",
    operation_id="problem",
    summary="What a problem type means",
    tags=["operations"],
    opt={"problems": ("not-found",), "content": _PROBLEM},
)
async def explain_problem(slug: FromPath[str]) -> Response[dict[str, object]]:
    if slug not in PROBLEMS:
        raise NotFoundError("There is no such problem type.")
    status, title = PROBLEMS[slug]
    return Response({"slug": slug, "status": status, "title": title})


def _described(request: Request[Any, Any, Any]) -> Litestar:
    """The application that takes the requests; it may listen on another port than this answer."""
    found: Litestar = request.app.state.get("described", request.app)
    return found


@cache
def _docs(app: Litestar) -> bytes:
    return render_docs(to_document(app)).encode()
