"""An audit event as others read it: named as the Elastic Common Schema (ECS) has it, so that a SIEM takes
it as it is, with the event's own members beside.

ECS owns some names at the top (``rule``, ``source`` ...), whose values are objects there. Ours of that name
move to ECS's own place for them. ``event.original`` is what is stored, byte for byte: the chain is over that.
"""

import json
from dataclasses import dataclass
from typing import Any

from service.domain.audit import EventType
from service.domain.instant import rfc3339

ECS_VERSION = "8.17.0"
_MOVED = {"type", "at", "rule", "source", "file"}
_SUCCEEDED = {"approved", "delivered", "sent", "queued"}
_AUTHENTICATION, _DEFENCE, _CONFIGURATION = "authentication", "intrusion_detection", "configuration"


@dataclass(frozen=True, slots=True)
class Link:
    """Where an event stands in its partition's chain: its number, from 1, and the hash after it (hex)."""

    sequence: int
    hash: str


_CATEGORIES: dict[str, tuple[str, str, str]] = {
    # event.kind, event.category, event.type: the allowed values of ECS
    EventType.VERIFICATION_CREATED: ("event", _AUTHENTICATION, "start"),
    EventType.VERIFICATION_APPROVED: ("event", _AUTHENTICATION, "end"),
    EventType.VERIFICATION_CANCELED: ("event", _AUTHENTICATION, "end"),
    EventType.VERIFICATION_EXPIRED: ("event", _AUTHENTICATION, "end"),
    EventType.VERIFICATION_LOCKED: ("event", _AUTHENTICATION, "end"),
    EventType.VERIFICATION_UNDELIVERABLE: ("event", _AUTHENTICATION, "end"),
    EventType.GUARD_BLOCKED: ("event", _DEFENCE, "denied"),
    EventType.GUARD_TRIPPED: ("alert", _DEFENCE, "info"),
    EventType.GUARD_RELEASED: ("event", _DEFENCE, "info"),
    EventType.OPT_OUT_RECORDED: ("event", _CONFIGURATION, "creation"),
    EventType.OPT_OUT_LIFTED: ("event", _CONFIGURATION, "deletion"),
    EventType.APP_CREATED: ("event", _CONFIGURATION, "creation"),
    EventType.APP_CHANGED: ("event", _CONFIGURATION, "change"),
    EventType.APP_DELETED: ("event", _CONFIGURATION, "deletion"),
    EventType.KEY_CREATED: ("event", _CONFIGURATION, "creation"),
    EventType.KEY_ROTATED: ("event", _CONFIGURATION, "change"),
    EventType.KEY_REVOKED: ("event", _CONFIGURATION, "deletion"),
    EventType.PERSON_ERASED: ("event", _CONFIGURATION, "deletion"),
    EventType.TRAIL_ARCHIVED: ("event", _CONFIGURATION, "deletion"),
    EventType.STORE_MIGRATED: ("event", _CONFIGURATION, "change"),
    EventType.SENDER_QUARANTINED: ("alert", _DEFENCE, "info"),
    EventType.SENDER_RETURNED: ("event", _DEFENCE, "info"),
}
_OTHER = ("event", _AUTHENTICATION, "info")
_OUTCOMES = {
    EventType.VERIFICATION_APPROVED: "success",
    EventType.VERIFICATION_EXPIRED: "failure",
    EventType.VERIFICATION_LOCKED: "failure",
    EventType.VERIFICATION_UNDELIVERABLE: "failure",
    EventType.NOTICE_UNDELIVERABLE: "failure",
    EventType.DELIVERY_ACCEPTED: "success",
    EventType.DELIVERY_REJECTED: "failure",
    EventType.DELIVERY_UNCERTAIN: "unknown",
    EventType.ATTEMPT_COUNTED: "unknown",
    EventType.ATTEMPT_REJECTED: "failure",
    EventType.ATTEMPT_REFUSED: "failure",
    EventType.GUARD_BLOCKED: "failure",
}


def to_line(
    partition: int, stream_id: str, original: str, link: Link | None = None
) -> dict[str, Any]:
    """One event, to be written as one line of JSON. ``link`` is ``None`` while it is not sealed.

    Raises:
        ValueError: what is stored is no event.
    """
    event = json.loads(original)
    if not isinstance(event, dict) or "type" not in event or "at" not in event:
        raise ValueError("no event of the audit trail")
    kind, category, type_ = _CATEGORIES.get(event["type"], _OTHER)
    time = rfc3339(event["at"])
    described: dict[str, Any] = {
        "id": f"{partition:02d}-{stream_id}",
        "kind": kind,
        "category": [category],
        "type": [type_],
        "action": event["type"],
        "dataset": "countersign.audit",
        "module": "countersign",
        "original": original,
    }
    if outcome := _outcome(event):
        described["outcome"] = outcome
    for ours, theirs in (("reason", "reason"), ("source", "provider")):
        if ours in event:
            described[theirs] = event[ours]
    if link is not None:
        described |= {"sequence": link.sequence, "hash": link.hash}
    line = {
        "@timestamp": time,
        "id": described["id"],
        "type": event["type"],
        "at": time,
        **{name: value for name, value in event.items() if name not in _MOVED},
        "sealed": link is not None,
        "event": described,
        "ecs": {"version": ECS_VERSION},
        "service": {"name": "countersign"},
    }
    if "rule" in event:
        line["rule"] = {"name": event["rule"]}
    if "file" in event:
        line["file"] = {"name": event["file"]}
    if isinstance(found := event.get("verification"), str):
        line["trace"] = {"id": found[6:]}
    if event.get("recipient"):
        line["user"] = {"id": event["recipient"]}
    return line


def _outcome(event: dict[str, Any]) -> str | None:
    if event["type"] == EventType.DELIVERY_REPORTED:
        return "success" if event.get("status") in _SUCCEEDED else "failure"
    return _OUTCOMES.get(event["type"])
