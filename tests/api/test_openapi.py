"""The document is complete enough to make a client from it. `make test-deploy` lints it and makes one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from service.api.application import create_api
from service.store.api_keys import Scope

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "openapi" / "openapi.json").read_text(encoding="utf-8")
)
OPERATIONS = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}
# Their form is somebody else's, or too free for an example to say anything.
NO_EXAMPLE = {"docs", "metrics", "openapi", "receiveEvent", "receiveReport"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_bodies_and_answers_have_an_example_that_is_right(name: str) -> None:
    found = list(_contents(OPERATIONS[name]))
    for kind, content in found:
        examples = _examples(content)
        if name not in NO_EXAMPLE:
            assert examples, kind
        for example in examples:
            _check(content["schema"], example)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_refusal_has_a_schema_and_an_example_of_each_type(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        if status.startswith("2"):
            continue
        content = response["content"]["application/problem+json"]
        schemas = content["schema"].get("oneOf", [content["schema"]])
        assert len(schemas) == len(content["examples"])
        for example in _examples(content):
            assert str(example["status"]) == status or status == "409"
            matching = [schema for schema in schemas if _is_valid(schema, example)]
            assert len(matching) == 1, example


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_can_succeed_later_says_when(name: str) -> None:
    for status in {"429", "503"} & set(OPERATIONS[name]["responses"]):
        assert "Retry-After" in OPERATIONS[name]["responses"][status]["headers"]


def _contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield from response.get("content", {}).items()


def _examples(content: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    return [_resolve(example)["value"] for example in content.get("examples", {}).values()]


def _resolve(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def _check(schema: dict[str, Any], value: object) -> None:
    from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415 - it takes seconds

    Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, format_checker=FormatChecker()
    ).validate(value)


def _is_valid(schema: dict[str, Any], value: object) -> bool:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - it takes seconds

    return Draft202012Validator({**schema, "components": DOCUMENT["components"]}).is_valid(value)


def test_every_call_of_the_api_names_the_scope_that_its_key_needs() -> None:
    """What names none is open to everybody."""
    found = [
        handler
        for route in create_api(None).routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1")
        for handler in route.route_handlers
        if handler.http_methods != {"OPTIONS"}
    ]
    assert len(found) > 20
    assert [handler for handler in found if not isinstance(handler.opt.get("scope"), Scope)] == []
