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
from service.api.examples import ANSWERS, BODIES
from service.api.problem_schemas import RETRY_LATER, problem_examples, problem_schemas, schema_name
from service.api.problems import MEDIA_TYPE, PROBLEMS
from service.domain.app import APP_PATTERN
from service.domain.audit import EventType

Document = dict[str, Any]
_SCHEMAS, _EXAMPLES, _HEADERS = (
    f"#/components/{kind}/" for kind in ("schemas", "examples", "headers")
)
_TAGS = {
    "verifications": "Start, verify, resend, cancel: the calls of a login flow.",
    "notices": "Security notices: what changed in a person's account.",
    "opt-outs": "Who asked for no more messages.",
    "apps": "Apps with texts, routes, limits and keys of their own: for operators.",
    "audit": "The trail: every transition, sealed into signed chains.",
    "statistics": "What became of messages and of verifications, by the hour.",
    "callbacks": "What the service tells an app's callback URL.",
    "webhooks": "What Telnyx tells the service, signed by it; nobody else calls these.",
    "operations": "Health, metrics, and this document; no key is needed.",
}
_RESPONSE_HEADERS = {
    "Retry-After": {
        "description": "Seconds after which the same request can succeed.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Location": {"description": "Where it can be read.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "Given where an earlier request with this Idempotency-Key was answered so.",
        "schema": {"const": "true"},
    },
    "RateLimit": {
        "description": "What is left of the caller's own limits (draft-ietf-httpapi-ratelimit-headers-10).",
        "schema": {"type": "string", "examples": ['"app";r=99;t=30']},
    },
    "RateLimit-Policy": {
        "description": "The caller's own limits and their windows (draft-ietf-httpapi-ratelimit-headers-10).",
        "schema": {"type": "string", "examples": ['"app";q=100;w=60']},
    },
}
_DESCRIPTION = """\
Two calls make a login: start a verification, which sends a code to a phone, and verify what the person typed.

Every error is RFC 9457 problem details; its `type` ends in a stable slug, and `/problems/{slug}` explains it.
Give an `Idempotency-Key` with what sends a message, and a retry never sends a second one. Times are RFC 3339.
Ignore members, words and problem types that you do not know: later versions may add some.
"""


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
    slugs = sorted(
        {s for _, _, h in handlers for found in _by_status(h.opt).values() for s in found}
    )
    paths: Document = {}
    for path, method, handler in handlers:
        paths.setdefault(path, {})[method] = _operation(path, handler)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "version": metadata.version("countersign"),
            "summary": "Two-factor authentication over Telnyx Messaging, self-hosted.",
            "description": _DESCRIPTION,
            "contact": {"name": "The Countersign authors"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {"url": "/", "description": "Where this document is read."},
            {"url": "http://127.0.0.1:8000", "description": "What `make run` starts."},
        ],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "security": [{"apiKey": []}],
        "paths": paths,
        "webhooks": WEBHOOKS,
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "cs_<key id>_<secret>",
                    "description": "An API key, made by: countersign keys create",
                }
            },
            "schemas": _schemas(models) | problem_schemas(slugs),
            "examples": problem_examples(slugs),
            "headers": _RESPONSE_HEADERS,
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
        "tags": sorted({tag for layer in handler.ownership_layers for tag in layer.tags or ()}),
        "parameters": _parameters(path, opt),
        "responses": _responses(handler),
    }
    if "scope" in opt:
        operation["description"] = f"Needs the scope `{opt['scope']}`."
    else:
        operation["description"] = opt.get("about", "Needs no API key.")
        operation["security"] = []
    if "body" in opt:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": _media(opt["body"], BODIES.get(opt["body"]))},
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
        example = ANSWERS.get(opt["answer"])
        value = None if example is None else json.loads(example.model_dump_json())
        success["content"] = {"application/json": _media(opt["answer"], value)}
        if opt.get("ndjson"):
            success["content"][NDJSON] = _ndjson(value)
    elif "content" in opt:
        success["content"] = opt["content"]
    if opt.get("idempotent"):
        success["headers"] = _headers(set(_RESPONSE_HEADERS) - {"Retry-After"})
    if opt.get("etag"):
        success.setdefault("headers", {})["ETag"] = _ETAG
    responses: Document = {str(handler.status_code): success}
    if opt.get("creates"):
        responses["201"] = success
    for status, slugs in sorted(_by_status(opt).items()):
        responses[str(status)] = _refusal(slugs)
    return responses


def _refusal(slugs: list[str]) -> Document:
    schemas = [{"$ref": _SCHEMAS + schema_name(slug)} for slug in slugs]
    refusal: Document = {
        "description": "; ".join(f"`{slug}`: {PROBLEMS[slug][1]}" for slug in slugs),
        "content": {
            MEDIA_TYPE: {
                "schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas},
                "examples": {slug: {"$ref": _EXAMPLES + schema_name(slug)} for slug in slugs},
            }
        },
    }
    if RETRY_LATER & set(slugs):
        refusal["headers"] = _headers({"Retry-After"})
    return refusal


def _headers(names: Iterable[str]) -> Document:
    return {name: {"$ref": _HEADERS + name} for name in sorted(names)}


def _media(model: type[BaseModel], example: object) -> Document:
    media: Document = {"schema": _ref(model)}
    return media if example is None else media | {"example": example}


def _ndjson(page: Any) -> Document:
    lines = "".join(json.dumps(event) + "\n" for event in page["events"])
    return {
        "schema": {"type": "string", "description": "An EventAnswer in each line."},
        "example": lines,
    }


def _by_status(opt: Document) -> dict[int, list[str]]:
    slugs = ["internal-error", *opt.get("problems", ())]
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
