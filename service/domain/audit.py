"""The audit trail: one event for each transition, with all that explains it and nothing secret.

An event is written by the very script that makes the transition. Recipients stand in it only under a
pseudonym, which the script puts in the place of the look-up id, and as a mask; codes and texts never do.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from service.domain import breaker
from service.domain.pseudonym import propose
from service.domain.pumping import RULE, Suspicion
from service.domain.quarantine import Change
from service.domain.recipient import Recipient
from service.domain.verification import (
    Accepted,
    Delivery,
    HeldBack,
    NotSent,
    Outcome,
    Reason,
    Refused,
    Report,
    Uncertain,
    Verification,
)

Event = dict[str, object]


class EventType(StrEnum):
    """Everything that can be recorded."""

    VERIFICATION_CREATED = "verification.created"
    VERIFICATION_APPROVED = "verification.approved"
    VERIFICATION_CANCELED = "verification.canceled"
    VERIFICATION_EXPIRED = "verification.expired"
    VERIFICATION_LOCKED = "verification.locked"
    VERIFICATION_UNDELIVERABLE = "verification.undeliverable"
    NOTICE_CREATED = "notice.created"
    NOTICE_CANCELED = "notice.canceled"
    NOTICE_ENDED = "notice.ended"
    NOTICE_UNDELIVERABLE = "notice.undeliverable"
    RESEND_ASKED = "resend.asked"
    DELIVERY_BEGUN = "delivery.begun"
    DELIVERY_ACCEPTED = "delivery.accepted"
    DELIVERY_REJECTED = "delivery.rejected"
    DELIVERY_UNCERTAIN = "delivery.uncertain"
    DELIVERY_REPORTED = "delivery.reported"
    DELIVERY_RECONCILED = "delivery.reconciled"
    ATTEMPT_COUNTED = "attempt.counted"
    ATTEMPT_REJECTED = "attempt.rejected"
    ATTEMPT_REFUSED = "attempt.refused"
    GUARD_BLOCKED = "guard.blocked"
    GUARD_TRIPPED = "guard.tripped"
    GUARD_RELEASED = "guard.released"
    SENDER_QUARANTINED = "sender.quarantined"
    SENDER_RETURNED = "sender.returned"
    OPT_OUT_RECORDED = "opt_out.recorded"
    OPT_OUT_LIFTED = "opt_out.lifted"
    APP_CREATED = "app.created"
    APP_CHANGED = "app.changed"
    APP_DELETED = "app.deleted"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    PERSON_ERASED = "person.erased"
    TRAIL_ARCHIVED = "trail.archived"
    STORE_MIGRATED = "store.migrated"


_OF_NOTICES = {
    EventType.VERIFICATION_CREATED: EventType.NOTICE_CREATED,
    EventType.VERIFICATION_CANCELED: EventType.NOTICE_CANCELED,
    EventType.VERIFICATION_EXPIRED: EventType.NOTICE_ENDED,
    EventType.VERIFICATION_UNDELIVERABLE: EventType.NOTICE_UNDELIVERABLE,
}
_TALLIED = {
    EventType.VERIFICATION_CREATED,
    EventType.VERIFICATION_APPROVED,
    EventType.RESEND_ASKED,
}
"""Events that carry the keys that they count under, so that a changed policy can be tried on them."""
_OUTCOME_TYPES = {
    Accepted: EventType.DELIVERY_ACCEPTED,
    Refused: EventType.DELIVERY_REJECTED,
    HeldBack: EventType.DELIVERY_REJECTED,
    NotSent: EventType.DELIVERY_REJECTED,
    Uncertain: EventType.DELIVERY_UNCERTAIN,
}


def of_verification(
    kind: EventType, v: Verification, at: int, *, actor: str, reason: Reason | None = None
) -> Event:
    """``actor``: the API key id, ``telnyx`` or ``countersign`` (a decision of its own)."""
    event: Event = {
        "type": _OF_NOTICES.get(kind, kind) if v.notice is not None else kind,
        "at": at,
        "actor": actor,
        "verification": v.id,
        "app": v.app,
        "purpose": v.purpose,
        "recipient": propose(v.recipient_id),
        "masked": v.masked,
        "country": v.country,
    }
    if v.test:
        event["test"] = True
    if v.tracked is not None and kind in _TALLIED:
        event |= v.tracked.to_event()
        if kind is EventType.VERIFICATION_APPROVED:
            event["messages"] = 1 + v.resends_asked
    if v.notice is not None:
        event["send_at"] = v.send_at or v.created_at
    if reason is not None:
        event["reason"] = reason
    return event


def of_blocked(
    recipient: Recipient,
    recipient_id: str,
    *,
    app: str,
    purpose: str,
    at: int,
    actor: str,
    test: bool = False,
) -> Event:
    """A start that the guard refused; whoever refuses it adds the rule and its figures."""
    return {
        **({"test": True} if test else {}),
        "type": EventType.GUARD_BLOCKED,
        "at": at,
        "actor": actor,
        "app": app,
        "purpose": purpose,
        "recipient": propose(recipient_id),
        "masked": recipient.masked,
        "country": recipient.country,
    }


def of_trip(
    key: str, suspicion: Suspicion, about: Mapping[str, str], at: int, *, action: str
) -> Event:
    """A key that is blocked from now on; ``about``: the start that tripped it."""
    return {
        "type": EventType.GUARD_TRIPPED,
        "at": at,
        "actor": "countersign",
        "rule": RULE,
        "action": action,
        "key": key,
        **suspicion.to_members(),
        "strikes": suspicion.block.strikes,
        "until": suspicion.block.until,
        **about,
    }


def of_release(key: str, at: int, *, actor: str) -> Event:
    """An operator ended a block; the script adds its figures."""
    return {
        "type": EventType.GUARD_RELEASED,
        "at": at,
        "actor": actor,
        "rule": RULE,
        "key": key,
    }


def of_breaker_trip(route: str, about: Mapping[str, str], at: int) -> Event:
    """A route that is closed from now on; the script adds how often in a row, and until when."""
    return _of_breaker(EventType.GUARD_TRIPPED, route, at, "countersign") | dict(about)


def of_breaker_release(route: str, at: int, *, actor: str) -> Event:
    """A message passed, or an operator opened the route."""
    return _of_breaker(EventType.GUARD_RELEASED, route, at, actor)


def _of_breaker(kind: EventType, route: str, at: int, actor: str) -> Event:
    key = f"{breaker.RULE}:{route}"
    return {"type": kind, "at": at, "actor": actor, "rule": breaker.RULE, "key": key}


def of_quarantine(change: Change, at: int) -> Event:
    """A sender is tried last in a country from now on, or has its place again."""
    kind = EventType.SENDER_RETURNED if change.now is None else EventType.SENDER_QUARANTINED
    event: Event = {
        "type": kind,
        "at": at,
        "actor": "countersign",
        "country": change.where.country,
        "sender": change.where.sender,
    }
    if change.now is None:
        return event | {"strikes": change.before}
    q = change.now
    figures = {"failed": q.failed, "of": q.known, "usual": q.usual}
    return event | figures | {"strikes": q.strikes, "until": q.until}


def of_attempt(kind: EventType, verification: str, app: str, at: int, actor: str) -> Event:
    """An event of a caller who named a verification by its id; the record need not be read for it."""
    return {"type": kind, "at": at, "actor": actor, "verification": verification, "app": app}


def of_delivery(kind: EventType, v: Verification, delivery: Delivery, at: int) -> Event:
    return of_verification(kind, v, at, actor="countersign", reason=delivery.reason) | {
        "delivery": delivery.number,
        "sender": delivery.sender,
        "kind": delivery.kind,
    }


def of_outcome(v: Verification, delivery: Delivery, outcome: Outcome) -> Event:
    event = of_delivery(_OUTCOME_TYPES[type(outcome)], v, delivery, outcome.at)
    if isinstance(outcome, Accepted):
        return event | {"message_id": outcome.message_id, "wait_seconds": outcome.wait_seconds}
    if outcome.errors:
        event["errors"] = [{"code": e.code, "title": e.title} for e in outcome.errors]
    if isinstance(outcome, Refused):
        event["fault"] = outcome.fault
    return event


def of_report(verification: str, delivery: int, report: Report, at: int, actor: str) -> Event:
    """``at``: when it was received; Telnyx's own time is ``reported_at``."""
    event: Event = {
        "type": EventType.DELIVERY_REPORTED,
        "at": at,
        "actor": actor,
        "verification": verification,
        "delivery": delivery,
        "status": report.status,
        "reported_at": report.at,
        "event_id": report.event_id,
        "message_id": report.message_id,
    }
    if report.errors:
        event["errors"] = [{"code": e.code, "title": e.title} for e in report.errors]
    if report.fault is not None:
        event["fault"] = report.fault
    if report.cost is not None:
        event |= {"cost": report.cost, "currency": report.currency}
    if report.carrier is not None:
        event["carrier"] = report.carrier
    return event


def of_opt_out(
    kind: EventType, recipient_id: str, masked: str, at: int, *, actor: str, source: str
) -> Event:
    return {
        "type": kind,
        "at": at,
        "actor": actor,
        "recipient": propose(recipient_id),
        "masked": masked,
        "source": source,
    }


def of_app(
    kind: EventType, app: str, at: int, *, actor: str, revision: int, members: Sequence[str]
) -> Event:
    """Somebody created, changed or deleted an app. ``members``: what of it is another now; values are left
    out, for a URL may hold a secret."""
    return {
        "type": kind,
        "at": at,
        "actor": actor,
        "app": app,
        "revision": revision,
        "members": list(members),
    }


def of_key(
    kind: EventType, key: str, app: str, scopes: Sequence[str], at: int, *, actor: str
) -> Event:
    """Somebody made, rotated or revoked an API key."""
    return {
        "type": kind,
        "at": at,
        "actor": actor,
        "app": app,
        "api_key": key,
        "scopes": list(scopes),
    }


def of_erasure(recipient_id: str, at: int, *, actor: str) -> Event:
    """The last event under a pseudonym."""
    return {
        "type": EventType.PERSON_ERASED,
        "at": at,
        "actor": actor,
        "recipient": propose(recipient_id),
    }


def of_archive(
    checkpoint: int, file: str, digest: str, events: int, at: int, *, signature: str
) -> Event:
    """What was sealed up to a checkpoint is in a file (``digest``: BLAKE2b of it, hex) and no longer here;
    ``signature``: see ``chain.sign_archive``."""
    return {
        "type": EventType.TRAIL_ARCHIVED,
        "at": at,
        "actor": "operator",
        "checkpoint": checkpoint,
        "file": file,
        "digest": digest,
        "events": events,
        "signature": signature,
    }


def of_migration(layout: int, at: int) -> Event:
    """The data was brought to a newer layout."""
    return {
        "type": EventType.STORE_MIGRATED,
        "at": at,
        "actor": "countersign",
        "layout": layout,
    }
