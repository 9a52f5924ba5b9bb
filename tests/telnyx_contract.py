"""Telnyx's OpenAPI document as a judge of requests, answers and webhooks.

The file is Telnyx's and no part of the project: ``TELNYX_OPENAPI`` names it. A test that asks the judge
carries the mark ``needs_spec``, and is reported as skipped, by name, where the variable is not set.

It is stricter than JSON Schema in one thing: a member that a schema does not name is a fault, because
neither the client nor the sandbox may invent one. ``_BEYOND_SPEC`` lists what Telnyx's guides know and
its schemas do not.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, FormatChecker

VARIABLE = "TELNYX_OPENAPI"
needs_spec = pytest.mark.skipif(
    not os.environ.get(VARIABLE), reason=f"{VARIABLE} does not name Telnyx's OpenAPI file"
)

_WEBHOOKS = {
    "message.sent": "deliveryUpdate",
    "message.finalized": "deliveryUpdate",
    "message.received": "inboundMessage",
}
# Schema -> members of Telnyx's guides: the autoresponse of an inbound text, and the `meta` of every
# webhook, which the document gives of delivery reports only.
_BEYOND_SPEC: Mapping[str, dict[str, Any]] = {
    "InboundMessagePayload": {
        "autoresponse_type": {"enum": ["STOP", "START", "HELP", None]},
    },
    "InboundMessageEvent": {"meta": {"type": "object"}},
    "ReplacedLinkClickEvent": {"meta": {"type": "object"}},
}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class ContractError(AssertionError):
    """It is not as Telnyx's document has it; the message says where."""


def validate_request(method: str, path: str, body: object = None) -> None:
    """A request of the client: ``path`` below ``/v2`` (or with it), with its query; ``body`` is what
    the JSON says, ``None`` without one.

    Raises:
        ContractError: no such operation, an unknown parameter or member, a wrong value.
    """
    operation, shared = _operation(method, path)
    _check_query(path, [*shared, *operation.get("parameters", [])])
    declared = operation.get("requestBody")
    if body is None and declared is None:
        return
    if declared is None:
        raise ContractError(f"{method} {path} takes no body")
    _check(_json_schema(declared), body, f"request {method} {path}")


def validate_response(method: str, path: str, status: int, body: object) -> None:
    """An answer of the sandbox; statuses that the document leaves out must carry its error envelope.

    Raises:
        ContractError: see ``validate_request``.
    """
    operation, _ = _operation(method, path)
    where = f"{status} to {method} {path}"
    responses = operation["responses"]
    found = next(
        (responses[key] for key in (str(status), f"{status // 100}XX") if key in responses), None
    )
    if found is None and status < 400:
        raise ContractError(f"{where}: the document knows no such success")
    declared = found or {"$ref": "#/components/responses/messaging_GenericErrorResponse"}
    _check(_json_schema(_resolved(declared)), body, where)
    # The schema of the envelope leaves `errors` optional; an error that says nothing is none.
    if status >= 400 and not (isinstance(body, dict) and (body.get("errors") or "code" in body)):
        raise ContractError(f"{where}: no error in {body!r}")


def validate_webhook(body: object) -> None:
    """The JSON of a webhook, told apart by its ``event_type`` (a link click has none).

    Raises:
        ContractError: see ``validate_request``.
    """
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise ContractError(f"no webhook: {body!r}")
    kind = data.get("event_type")
    name = "replacedLinkClick" if kind is None else _WEBHOOKS.get(str(kind))
    if name is None:
        raise ContractError(f"no event type of the document: {kind!r}")
    declared = _document()["webhooks"][name]["post"]["requestBody"]
    _check(_json_schema(declared), body, f"webhook {kind or name}")


def operations() -> set[tuple[str, str]]:
    """All of the document's ``(METHOD, path)``."""
    paths: dict[str, dict[str, Any]] = _document()["paths"]
    return {(m.upper(), path) for path, item in paths.items() for m in item if m != "parameters"}


def template(method: str, path: str) -> str:
    """The document's path that an actual one belongs to, as ``/messages/{id}``."""
    return _found(method, path)[0]


def knows(method: str, path: str) -> bool:
    """Whether the document has such an operation."""
    try:
        _found(method, path)
    except ContractError:
        return False
    return True


def faults(judge: Callable[..., None], *of: object) -> list[str]:
    """What a judge says, as a list that is empty if all is well."""
    try:
        judge(*of)
    except ContractError as error:
        return [str(error)]
    return []


@cache
def _document() -> dict[str, Any]:
    text = Path(os.environ[VARIABLE]).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    for name, members in _BEYOND_SPEC.items():
        document["components"]["schemas"][name]["properties"].update(members)
    _close(document)
    return document


def _close(node: object) -> None:
    """Let no object have members that its schema does not name."""
    if isinstance(node, dict):
        # Schemas of parameters in brackets (deepObject) are closed by `_check_query`.
        if isinstance(node.get("properties"), dict) and node.get("type", "object") != "array":
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)


def _found(method: str, path: str) -> tuple[str, dict[str, Any]]:
    wanted = urlsplit(path).path.removeprefix("/v2").split("/")
    # What stands literally in the document comes before what a parameter would take.
    for known, item in sorted(_document()["paths"].items(), key=lambda entry: "{" in entry[0]):
        parts = known.split("/")
        fits = len(parts) == len(wanted) and all(
            (p.startswith("{") and bool(w)) or p == w for p, w in zip(parts, wanted, strict=True)
        )
        if fits and method.lower() in item:
            return known, item
    raise ContractError(f"the document has no {method} {path}")


def _operation(method: str, path: str) -> tuple[dict[str, Any], list[Any]]:
    item = _found(method, path)[1]
    return item[method.lower()], item.get("parameters", [])


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = _document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _json_schema(declared: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = _resolved(declared)["content"]["application/json"]["schema"]
    return schema


def _check(schema: dict[str, Any], value: object, where: str) -> None:
    found = [
        f"{fault.json_path}: {fault.message}" for fault in _validator(schema).iter_errors(value)
    ]
    if found:
        raise ContractError(f"{where}: {'; '.join(found)}")


_validators: dict[int, "Draft202012Validator"] = {}


def _validator(schema: dict[str, Any]) -> "Draft202012Validator":
    """One for each schema of the document; that is kept, so that an id stays what it is."""
    if id(schema) not in _validators:
        # References inside the schema start at the document's root, so that goes with it.
        whole = {"components": _document()["components"], **schema}
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - it takes seconds

        _validators[id(schema)] = Draft202012Validator(whole, format_checker=_formats())
    return _validators[id(schema)]


def _check_query(path: str, declared: list[dict[str, Any]]) -> None:
    known: dict[str, dict[str, Any]] = {}
    for parameter in map(_resolved, declared):
        if parameter["in"] != "query":
            continue
        name, schema = parameter["name"], parameter["schema"]
        if parameter.get("style") == "deepObject":
            known.update({f"{name}[{m}]": s for m, s in schema["properties"].items()})
        else:
            known[name] = schema
    for name, text in parse_qsl(urlsplit(path).query, keep_blank_values=True):
        if name not in known:
            raise ContractError(f"{path}: no parameter {name!r}, but {sorted(known)}")
        schema = _resolved(known[name])
        is_number = schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text)
        _check(schema, int(text) if is_number else text, f"{path}: {name}")


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return _TIME.fullmatch(value) is not None


def _is_url(value: object) -> bool:
    if not isinstance(value, str):
        return True
    parts = urlsplit(value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_pointer(value: object) -> bool:
    return not isinstance(value, str) or value == "" or value.startswith("/")


@cache
def _formats() -> "FormatChecker":
    from jsonschema import FormatChecker  # noqa: PLC0415 - it takes seconds

    found = FormatChecker()
    checks = {"date-time": _is_time, "url": _is_url, "json-pointer": _is_pointer}
    for name, check in checks.items():
        found.checks(name)(check)
    return found
