"""Every event and every reason in plain words, for whoever has to answer for a message that was sent."""

from collections.abc import Mapping
from typing import Any

from service.domain.audit import EventType
from service.domain.ordering import Why
from service.domain.verification import DeliveryStatus, Reason

EVENTS: Mapping[EventType, str] = {
    EventType.VERIFICATION_CREATED: "A login flow asked to verify the number",
    EventType.VERIFICATION_APPROVED: "The right code was typed",
    EventType.VERIFICATION_CANCELED: "The verification was ended early",
    EventType.VERIFICATION_EXPIRED: "Nobody typed the right code in time",
    EventType.VERIFICATION_LOCKED: "All attempts were used up by wrong codes",
    EventType.VERIFICATION_UNDELIVERABLE: "Nothing more will be sent",
    EventType.NOTICE_CREATED: "An app asked to tell the person something",
    EventType.NOTICE_CANCELED: "The notice was taken back",
    EventType.NOTICE_ENDED: "The notice is over",
    EventType.NOTICE_UNDELIVERABLE: "The notice could not be delivered",
    EventType.RESEND_ASKED: "Another message was asked for",
    EventType.DELIVERY_BEGUN: "A message is about to be sent",
    EventType.DELIVERY_ACCEPTED: "Telnyx accepted the message",
    EventType.DELIVERY_REJECTED: "The message was refused",
    EventType.DELIVERY_UNCERTAIN: "It is not known whether Telnyx has the message",
    EventType.DELIVERY_REPORTED: "A delivery report came",
    EventType.DELIVERY_RECONCILED: "Telnyx was asked what became of the message",
    EventType.ATTEMPT_COUNTED: "A code was typed",
    EventType.ATTEMPT_REJECTED: "The code was wrong",
    EventType.ATTEMPT_REFUSED: "A code was typed for another payment than the one in the message",
    EventType.GUARD_BLOCKED: "The guard refused to send",
    EventType.GUARD_TRIPPED: "The guard blocks from now on",
    EventType.GUARD_RELEASED: "A block of the guard ended",
    EventType.SENDER_QUARANTINED: "The sender's messages fail more than usual here: it is tried last for now",
    EventType.SENDER_RETURNED: "The sender has its place again",
    EventType.OPT_OUT_RECORDED: "The person asked for no more messages",
    EventType.OPT_OUT_LIFTED: "The person may get messages again",
    EventType.TRAIL_ARCHIVED: "Older events went into an archive",
    EventType.APP_CREATED: "An app was created",
    EventType.APP_CHANGED: "An app was changed",
    EventType.APP_DELETED: "An app was deleted, and its keys revoked",
    EventType.KEY_CREATED: "An API key was made",
    EventType.KEY_ROTATED: "An API key got a new secret",
    EventType.KEY_REVOKED: "An API key was revoked",
    EventType.STORE_MIGRATED: "The data was brought to a newer layout",
    EventType.PERSON_ERASED: "Nothing tells any more whose events these are",
}
REASONS: Mapping[Reason, str] = {
    Reason.INITIAL: "it is the first message",
    Reason.RESEND: "another message was asked for",
    Reason.SENDER_REJECTED: "Telnyx refused the sender before it, which was that sender's fault",
    Reason.RECIPIENT_UNREACHABLE: "the number cannot get such messages",
    Reason.RECIPIENT_OPTED_OUT: "the person asked for no more messages",
    Reason.PROVIDER_UNAVAILABLE: "Telnyx was busy or could not be reached",
    Reason.PROVIDER_BLOCKED: "Telnyx blocks this route: suspected traffic inflation, or a spending cap",
    Reason.UNCERTAIN: "Telnyx's answer to the message before it was lost, and no report came",
    Reason.DELIVERY_FAILED: "the message before it was reported as failed",
    Reason.DELIVERY_UNCONFIRMED: "nobody confirmed that the message before it arrived",
    Reason.REPORT_TIMEOUT: "no report of the message before it came in time",
    Reason.QUEUED_TOO_LONG: "Telnyx would have held the message before it for too long",
    Reason.SPEND_LIMIT: "a spending cap is used up",
    Reason.COUNTRY_NOT_ALLOWED: "no message may go to this country",
    Reason.NUMBER_TYPE_NOT_ALLOWED: "no message may go to numbers of this type",
    Reason.SUSPECTED_FRAUD: "too few codes sent to such numbers are ever typed: suspected SMS pumping",
    Reason.RATE_LIMITED: "a limit is used up",
    Reason.TEST_NUMBER: "it is a test number, which gets no message",
    Reason.DELIVERED: "the message was reported as delivered",
    Reason.AWAITING_REPORT: "its report is awaited",
    Reason.SCHEDULED: "it is to leave later",
    Reason.PLAN_EXHAUSTED: "no sender is left to try",
    Reason.ATTEMPTS_EXHAUSTED: "all attempts were used up",
    Reason.EXPIRED: "the code's life is over",
    Reason.APPROVED: "the right code was typed",
    Reason.CANCELED: "the app ended it",
    Reason.SUPERSEDED: "a newer verification took its place",
}
STATUSES: Mapping[DeliveryStatus, str] = {
    DeliveryStatus.QUEUED: "queued by Telnyx",
    DeliveryStatus.SENT: "handed to the carrier",
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.DELIVERY_UNCONFIRMED: "nobody confirmed that it arrived",
    DeliveryStatus.DELIVERY_FAILED: "not delivered",
    DeliveryStatus.SENDING_FAILED: "could not be sent",
}
WHYS: Mapping[Why, str] = {
    Why.CONFIGURED: "as configured",
    Why.CONVERSION: "by how many of its codes are typed in, and its price",
    Why.EXPLORATION: "to learn how it does here",
    Why.STICKY: "the person's last code came through it",
    Why.TRIAL: "to see whether it is well again",
    Why.QUARANTINED: "last, for its messages fail more than usual",
    Why.REQUESTED: "as the app asked",
    Why.FIXED: "the configuration fixes it",
}
_OF_A_MESSAGE = {
    EventType.DELIVERY_ACCEPTED,
    EventType.DELIVERY_REJECTED,
    EventType.DELIVERY_UNCERTAIN,
    EventType.DELIVERY_RECONCILED,
}


def explain(event: Mapping[str, Any]) -> str:
    """A sentence for an event of the trail; what is not known here is shown as it is named."""
    kind, reason = event.get("type"), event.get("reason")
    # Why a message was sent stands at its beginning; why a code was right needs no reason.
    if kind in _OF_A_MESSAGE or kind == EventType.VERIFICATION_APPROVED:
        reason = None
    said = EVENTS[EventType(kind)] if kind in set(EventType) else str(kind)
    because = REASONS[Reason(reason)] if reason in set(Reason) else reason
    details = _details(event)
    return (
        said
        + (f" ({', '.join(details)})" if details else "")
        + (f", because {because}" if because else "")
    )


def _details(event: Mapping[str, Any]) -> list[str]:
    details = []
    if event.get("delivery") is not None:
        details.append(f"message {event['delivery']}")
    status = event.get("status")
    if status is not None:
        details.append(STATUSES[DeliveryStatus(status)] if status in STATUSES else str(status))
    details += [str(event[name]) for name in ("sender", "limit") if event.get(name) is not None]
    if (left := event.get("attempts_remaining")) is not None:
        details.append(f"attempts left: {left}")
    if event.get("order"):
        details.append("senders in order: " + "; ".join(map(_explain_place, event["order"])))
    details += [
        f"Telnyx error {error.get('code')}: {error.get('title')}"
        for error in event.get("errors") or ()
    ]
    return details


def _explain_place(place: Mapping[str, Any]) -> str:
    why = place.get("why")
    said = WHYS[Why(why)] if why in set(Why) else str(why)
    if "failing" in place:
        said += f" ({place['failing']:.0%} of them)"
    elif "proven" in place:
        said += f" ({place['proven']:.0%} typed in)"
    return f"{place.get('sender')}, {said}"
