"""The OpenAPI 3.1 document, made from the handlers and their models.

The framework's own generator drops patterns and ``additionalProperties``, and describes errors in its
own shape; here every operation states its body, its answer and its problems in ``opt``.
"""

import json
from collections.abc import Iterable
from importlib import metadata, resources
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.audit import NDJSON
from service.api.callbacks import WEBHOOKS
from service.api.problems import MEDIA_TYPE, PROBLEMS, TYPE_BASE
from service.domain.app import APP_PATTERN
from service.domain.audit import EventType

Document = dict[str, Any]
_SCHEMAS = "#/components/schemas/"


def _text(pattern: str, **more: object) -> Document:
    return {"type": "string", "pattern": pattern, **more}


_PARAMETERS = {
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": "The next_cursor of an earlier page.",
        "schema": {"type": "string", "pattern": r"^[0-9]{1,2}\.[0-9]{1,9}$"},
    },
    "events_cursor": {
        "name": "cursor",
        "in": "query",
        "description": "The next_cursor of an earlier page.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,15}-[0-9]{1,19}-([0-5]?[0-9]|6[0-3])$"},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    },
    "type": {
        "name": "type",
        "in": "query",
        "description": "Events of one type alone.",
        "schema": {"type": "string", "enum": sorted(EventType)},
    },
    "verification": {
        "name": "verification",
        "in": "query",
        "description": "Events of one verification, or notice, alone.",
        "schema": _text("^(ver|ntc)_[0-9]{2}[0-9a-f]{32}$"),
    },
    "recipient": {
        "name": "recipient",
        "in": "query",
        "description": "Events of one person alone: a number (E.164), or the pseudonym in events.",
        "schema": _text(r"^(\+[1-9][0-9]{6,14}|[0-9a-f]{32})$"),
    },
    "window": {
        "name": "window",
        "in": "query",
        "description": "Hours or days until now, at most 35d; it begins at a full hour.",
        "schema": {
            "type": "string",
            "pattern": "^([1-9][0-9]{0,2}h|[1-9]d|[12][0-9]d|3[0-5]d)$",
            "default": "24h",
        },
    },
    "app": {
        "name": "app",
        "in": "query",
        "description": "One app alone.",
        "schema": {"type": "string", "maxLength": 64},
    },
    "group_by": {
        "name": "group_by",
        "in": "query",
        "description": "Some of app, country, sender, carrier, hour, separated by commas.",
        "schema": {
            "type": "string",
            "pattern": "^(app|country|sender|carrier|hour)(,(app|country|sender|carrier|hour)){0,4}$",
            "default": "country,sender",
        },
    },
}


_PATH_PARAMETERS = {
    "app_id": _text(APP_PATTERN, examples=["shop"]),
    "key_id": _text("^[0-9a-f]{12}$", examples=["0123456789ab"]),
    "verification_id": _text("^ver_[0-9]{2}[0-9a-f]{32}$"),
    "notice_id": _text("^ntc_[0-9]{2}[0-9a-f]{32}$"),
    "number": _text(r"^\+[1-9][0-9]{6,14}$", examples=["+12025550123"]),
    "ref": _text(r"^(ver|ntc)_[0-9]{2}[0-9a-f]{32}\.[1-9][0-9]?\.[0-9a-f]{32}$"),
    "slug": {"type": "string", "enum": sorted(PROBLEMS)},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A Structured Field String (quoted), or 1 to 255 visible ASCII characters. For 24 "
    "hours the same key and body give the same verification, or the same final refusal, and send nothing.",
    "schema": _text(r'^("([ !#-\[\]-~]|\\["\\]){1,255}"( *;[ -~]*)?|[!#-\[\]-~]{1,255})$'),
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of the state that this is meant for, or * for any. Without it no definition is "
    "replaced.",
    "schema": _text(r'^([*]|(W/)?"[!#-~]{1,64}")$'),
}
_ETAG = {"description": "Names this state, for If-Match.", "schema": {"type": "string"}}
_WEBHOOK_HEADERS = [
    {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
    for name in ("telnyx-signature-ed25519", "telnyx-timestamp")
]


def to_document(app: Litestar) -> Document:
    """Describe every route of the application."""
    handlers = sorted(_handlers(app), key=lambda found: (found[0], found[1]))
    models = {
        handler.opt[role]
        for _, _, handler in handlers
        for role in ("body", "answer")
        if role in handler.opt
    }
    paths: Document = {}
    for path, method, handler in handlers:
        paths.setdefault(path, {})[method] = _operation(path, handler)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "version": metadata.version("countersign"),
            "summary": "Two-factor authentication over Telnyx Messaging, self-hosted.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "paths": paths,
        "webhooks": WEBHOOKS,
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "cs_<key id>_<secret>, made by: countersign keys create",
                }
            },
            "schemas": _schemas(models) | {"Problem": _problem_schema()},
        },
    }


def to_json(document: Document) -> bytes:
    """The document as it is kept in ``openapi/``."""
    return (json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()


def render_docs(document: Document) -> str:
    """A page to read, with no script and no outside asset."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - start-up need not wait for it

    source = (resources.files("service.api") / "docs.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    return page.render(document=document, problems=PROBLEMS)


def _handlers(app: Litestar) -> Iterable[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.operation_id is None:
                continue  # what the framework adds, such as OPTIONS
            for method in handler.http_methods:
                yield route.path_format, str(method).lower(), handler


def _operation(path: str, handler: HTTPRouteHandler) -> Document:
    opt = handler.opt
    operation: Document = {
        "operationId": handler.operation_id,
        "summary": handler.summary,
        "tags": sorted(handler.tags or []),
        "parameters": _parameters(path, opt),
        "responses": _responses(handler),
    }
    if "scope" in opt:
        operation["description"] = f"Needs the scope `{opt['scope']}`."
    else:
        operation["security"] = []
    if "body" in opt:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(opt["body"])}},
        }
    return operation


def _parameters(path: str, opt: Document) -> list[Document]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters: list[Document] = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS[name]}
        for name in names
    ]
    parameters += [_PARAMETERS[name] for name in opt.get("query", ())]
    if opt.get("idempotent"):
        parameters.append(_IDEMPOTENCY_KEY)
    if opt.get("if_match"):
        parameters.append(_IF_MATCH)
    if path.startswith("/webhooks/"):
        parameters += _WEBHOOK_HEADERS
    return parameters


def _responses(handler: HTTPRouteHandler) -> Document:
    opt = handler.opt
    success: Document = {"description": handler.summary or ""}
    if "answer" in opt:
        success["content"] = {"application/json": {"schema": _ref(opt["answer"])}}
    if opt.get("ndjson"):
        success["content"][NDJSON] = {"schema": {"type": "string"}}
    if opt.get("etag"):
        success["headers"] = {"ETag": _ETAG}
    responses: Document = {str(handler.status_code): success}
    if opt.get("creates"):
        responses["201"] = success
    for status, slugs in sorted(_by_status(opt).items()):
        responses[str(status)] = {
            "description": "; ".join(f"`{slug}`: {PROBLEMS[slug][1]}" for slug in slugs),
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
        }
    return responses


def _by_status(opt: Document) -> dict[int, list[str]]:
    slugs = list(opt.get("problems", ()))
    if "scope" in opt:
        slugs += ["unauthorized", "forbidden", "rate-limited", "unavailable"]
    if "body" in opt:
        slugs += ["invalid-request", "payload-too-large"]
    found: dict[int, list[str]] = {}
    for slug in sorted(set(slugs)):
        found.setdefault(PROBLEMS[slug][0], []).append(slug)
    return found


def _ref(model: type[BaseModel]) -> Document:
    return {"$ref": f"{_SCHEMAS}{model.__name__}"}


def _schemas(models: Iterable[type[BaseModel]]) -> Document:
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schema = models_json_schema(
        [(model, "validation") for model in ordered], ref_template=_SCHEMAS + "{model}"
    )
    return dict(schema["$defs"])


def _problem_schema() -> Document:
    return {
        "title": "Problem",
        "description": "RFC 9457 problem details; further members stand beside these.",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "enum": [TYPE_BASE + slug for slug in sorted(PROBLEMS)]},
            "title": {"type": "string"},
            "status": {
                "type": ["integer", "string"],
                "description": "The HTTP status; in verification-closed the verification's status.",
            },
            "detail": {"type": "string"},
            "limit": {"type": "string", "description": "rate-limited: which limit"},
            "errors": {
                "type": "array",
                "description": "invalid-request: every fault found",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                },
            },
        },
    }
