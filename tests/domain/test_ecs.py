"""Events under the names and values of the Elastic Common Schema, and in plain words."""

import json

import pytest

from service.domain.audit import EventType
from service.domain.ecs import Link, to_line
from service.domain.explain import EVENTS, REASONS, explain
from service.domain.verification import Reason

# elastic.co, ECS reference, categorization fields: which types are expected of a category.
EXPECTED = {
    "authentication": {"start", "end", "info"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
}
# Roots of ECS' field sets that are objects: no value of another kind may stand there.
OBJECTS = {
    "agent", "as", "client", "cloud", "container", "destination", "device", "dns", "ecs", "email", "error",
    "event", "file", "geo", "group", "hash", "host", "http", "interface", "log", "network", "observer",
    "orchestrator", "organization", "os", "package", "process", "registry", "related", "risk", "rule",
    "server", "service", "source", "span", "threat", "tls", "trace", "transaction", "url", "user",
    "user_agent", "vlan", "vulnerability", "x509",
}  # fmt: skip


def _event(type_: str, **more: object) -> str:
    members = {
        "type": type_, "at": 1_800_000_000_123, "actor": "telnyx", "rule": "limit", "source": "api",
        "recipient": "0" * 32, "status": "delivered", "reason": "initial", **more,
    }  # fmt: skip
    return json.dumps(members)


@pytest.mark.parametrize("type_", EventType)
def test_only_values_that_ecs_allows(type_: EventType) -> None:
    line = to_line(7, "1-0", _event(type_))
    event = line["event"]
    assert event["kind"] in {"alert", "event"}
    (category,) = event["category"]
    assert set(event["type"]) <= EXPECTED[category]
    assert event.get("outcome", "unknown") in {"success", "failure", "unknown"}
    assert {name for name in OBJECTS & line.keys() if not isinstance(line[name], dict)} == set()
    assert (line["@timestamp"], line["rule"]) == ("2027-01-15T08:00:00.123Z", {"name": "limit"})
    assert event["provider"] == "api"


def test_a_link_is_shown_and_the_original_kept() -> None:
    original = _event("delivery.reported", status="delivery_failed")
    line = to_line(63, "17-4", original, Link(9, "ab" * 32))
    assert (line["sealed"], line["id"]) == (True, "63-17-4")
    assert (line["event"]["sequence"], line["event"]["hash"]) == (9, "ab" * 32)
    assert (line["event"]["original"], line["event"]["outcome"]) == (original, "failure")
    assert not to_line(63, "17-4", original)["sealed"]


@pytest.mark.parametrize("stored", ["[]", "{}", "x", '{"type":"a"}'])
def test_what_is_no_event_is_refused(stored: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        to_line(0, "1-0", stored)


def test_everything_has_plain_words() -> None:
    assert set(EVENTS) == set(EventType)
    assert set(REASONS) == set(Reason)
    begun = {"type": "delivery.begun", "reason": "delivery_failed", "sender": "long"}
    assert explain(begun) == (
        "A message is about to be sent (long), because the message before it was reported as failed"
    )
    assert explain({"type": "from.a.newer.release"}) == "from.a.newer.release"
