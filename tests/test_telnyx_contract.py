"""The judge itself: it takes Telnyx's own examples, and finds what is wrong."""

import pytest

from tests.telnyx_contract import (
    ContractError,
    needs_spec,
    operations,
    template,
    validate_request,
    validate_response,
    validate_webhook,
)

pytestmark = needs_spec

TO = "+12025550001"


def test_a_request_that_fits_is_taken() -> None:
    validate_request("POST", "/v2/messages", {"to": TO, "text": "hi", "from": "Acme"})
    validate_request("GET", "/messaging_optouts?page[number]=2&page[size]=250&filter[from]=Acme")
    validate_request("POST", "/messaging_profiles/x/actions/regenerate_secret")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/messages", {"text": "hi"}),
        ("POST", "/messages", {"to": TO, "client_reference": "mine"}),
        ("POST", "/messages", {"to": TO, "encoding": "morse"}),
        ("POST", "/messages", {"to": TO, "webhook_url": "mailto:x"}),
        ("POST", "/messages", {"to": TO, "send_at": "tomorrow"}),
        ("POST", "/messages", None),
        ("PUT", "/messages", {"to": TO}),
        ("GET", "/messages", None),
        ("DELETE", "/messages/x", {}),
        ("GET", "/messaging_optouts?page[size]=251", None),
        ("GET", "/messaging_optouts?page[size]=ten", None),
        ("GET", "/messaging_optouts?filter[to]=x", None),
        ("GET", "/messaging_profile_metrics?time_frame=2h", None),
    ],
)
def test_a_request_that_does_not_fit_is_found(method: str, path: str, body: object) -> None:
    with pytest.raises(ContractError):
        validate_request(method, path, body)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", "/messages", 201, {"data": {}}),
        ("POST", "/messages", 200, {"data": {"status": "queued"}}),
        ("POST", "/messages", 200, {"data": {"to": [{"status": "scheduled"}]}}),
        ("POST", "/messages", 500, {"error": "sorry"}),
        ("POST", "/messages", 422, {}),
        ("DELETE", "/messages/x", 404, {"errors": [{"code": "10005", "title": "none"}]}),
        ("GET", "/messaging_optouts", 200, {"data": [{"created_at": "yesterday"}]}),
    ],
)
def test_an_answer_that_does_not_fit_is_found(
    method: str, path: str, status: int, body: object
) -> None:
    with pytest.raises(ContractError):
        validate_response(method, path, status, body)


def test_an_answer_that_fits_is_taken() -> None:
    error = {"code": "10005", "title": "none"}
    validate_response("DELETE", "/messages/x", 404, error)
    validate_response("GET", "/messages/x", 404, {"errors": [error]})
    validate_response("POST", "/messages", 503, {"errors": [error]})


def test_webhooks_are_told_apart() -> None:
    validate_webhook({"data": {"record_type": "link_clicked", "url": "https://example.com"}})
    validate_webhook({"data": {"event_type": "message.received", "payload": {"text": "STOP"}}})
    with pytest.raises(ContractError):
        validate_webhook({"data": {"event_type": "message.delivered"}})
    with pytest.raises(ContractError):
        validate_webhook({"data": {"event_type": "message.sent", "payload": {"type": "WHATSAPP"}}})


def test_a_path_finds_its_template() -> None:
    assert template("GET", "/v2/messages/group/x") == "/messages/group/{message_id}"
    assert template("POST", "/messages/whatsapp") == "/messages/whatsapp"
    assert ("GET", "/messaging_optouts") in operations()
