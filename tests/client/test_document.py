"""The client keeps up with the OpenAPI document."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from service.client import Countersign, ProblemError, UnexpectedAnswerError, answers, calls
from service.client.errors import read_error

SCHEMAS: dict[str, type[BaseModel]] = {
    "VerificationAnswer": answers.Verification,
    "DeliveryAnswer": answers.Delivery,
    "ErrorAnswer": answers.TelnyxError,
    "CostAnswer": answers.Cost,
    "VerdictAnswer": answers.Verdict,
    "NoticeAnswer": answers.Notice,
    "OptOutAnswer": answers.OptOut,
    "OptOutsAnswer": answers.OptOuts,
    "EventAnswer": answers.AuditEvent,
    "EventsAnswer": answers.AuditEvents,
    "CheckpointAnswer": answers.Checkpoint,
    "CheckpointsAnswer": answers.Checkpoints,
    "AppAnswer": answers.App,
    "AppsAnswer": answers.Apps,
    "AppDefinition": answers.Definition,
    "KeyAnswer": answers.ApiKey,
    "NewKeyAnswer": answers.NewApiKey,
    "KeysAnswer": answers.ApiKeys,
    "Seconds": answers.Seconds,
    "DeliveriesRow": answers.DeliveriesRow,
    "DeliveriesAnswer": answers.DeliveryStatistics,
    "CostModel": answers.Cost,
    "FunnelRow": answers.VerificationsRow,
    "FunnelAnswer": answers.VerificationStatistics,
    "JwkAnswer": answers.SigningKey,
    "JwksAnswer": answers.SigningKeys,
}
BODIES: dict[str, set[str]] = {
    "StartBody": {"to", *calls.StartOptions.__annotations__},
    "NoticeBody": {"to", "event", *calls.NoticeOptions.__annotations__},
    "TransactionBody": set(calls.Transaction.__annotations__),
    "VerifyBody": {"code", "transaction"},
    "AppBody": set(calls.AppOptions.__annotations__),
    "RouteBody": set(answers.Route.model_fields),
    "LimitsBody": set(answers.Limits.model_fields),
    "KeyBody": {"scopes", "expires_in"},
}
IN_HEADERS = {"etag"}
WORDS = {
    "Status": answers.Status,
    "NoticeStatus": answers.NoticeStatus,
    "DeliveryStatus": answers.DeliveryStatus,
}


def test_answers_have_every_member(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    missing = {
        name: sorted(different)
        for name, model in SCHEMAS.items()
        if (different := set(schemas[name]["properties"]) ^ (set(model.model_fields) - IN_HEADERS))
    }
    assert missing == {}
    answered = {name for name, schema in schemas.items() if name.endswith(("Answer", "Row"))}
    assert answered <= set(SCHEMAS)


def test_requests_have_every_member(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    found = {name for name in schemas if name.endswith("Body")}
    assert found == set(BODIES)
    for name, members in BODIES.items():
        assert members - {"idempotency_key"} == set(schemas[name]["properties"]), name


@pytest.mark.parametrize("name", WORDS)
def test_words_are_the_documents(name: str, document: dict[str, Any]) -> None:
    assert [word.value for word in WORDS[name]] == document["components"]["schemas"][name]["enum"]


def test_every_problem_type_has_an_error_of_its_own(document: dict[str, Any]) -> None:
    types = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert len(types) > 10
    for type_ in types:
        error = read_error(_problem(422, {"type": type_, "title": "", "detail": ""}))
        assert isinstance(error, ProblemError)
        assert type(error) is not ProblemError, type_
        assert error.slug == type_.rpartition("/")[2]


def test_what_a_newer_service_says_is_understood() -> None:
    verdict = answers.Verdict.model_validate_json(
        """{"id": "ver_1", "approved": false, "status": "frozen", "attempts_remaining": 1,
        "delivery": null, "new": 1}"""
    )
    assert verdict.status == "frozen"
    assert verdict.status not in set(answers.Status)
    error = read_error(_problem(418, {"type": "/problems/new", "title": "", "detail": "why"}))
    assert isinstance(error, ProblemError)
    assert str(error) == "new: why"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"type": "/problems/not-found"}'])
def test_a_broken_problem_is_an_unexpected_answer(body: bytes) -> None:
    headers = {"content-type": "application/problem+json"}
    error = read_error(httpx.Response(500, headers=headers, content=body))
    assert isinstance(error, UnexpectedAnswerError)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "COUNTERSIGN_URL and COUNTERSIGN_API_KEY"),
        ({"COUNTERSIGN_URL": "http://x"}, "COUNTERSIGN_API_KEY"),
        ({"COUNTERSIGN_URL": "ftp://x", "COUNTERSIGN_API_KEY": "cs_a_b"}, "url"),
        ({"COUNTERSIGN_URL": "http://u:pw@x", "COUNTERSIGN_API_KEY": "cs_a_b"}, "url"),
        ({"COUNTERSIGN_URL": "http://x", "COUNTERSIGN_API_KEY": "a\nb"}, "api_key"),
    ],
)
def test_a_wrong_environment_is_named(environ: Mapping[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        Countersign.from_env(environ)
    assert "pw" not in str(refused.value)


def _problem(status: int, document: dict[str, Any]) -> httpx.Response:
    headers = {"content-type": "application/problem+json"}
    return httpx.Response(status, headers=headers, content=json.dumps(document))
