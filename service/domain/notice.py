"""Security notices: "your phone number was changed" and the like.

NIST SP 800-63B-4 (section 4.6) asks that people are told, at an address of theirs, when an authenticator
was bound, changed or removed. The texts stand in here and in the configuration, and a caller only names
one: so a notice can carry no code, and nothing that an attacker wrote.
"""

from enum import StrEnum

from service.domain.segments import Encoding, measure
from service.domain.text import TextError, in_segments
from service.domain.verification import DeliveryStatus, Status, Verification

_AFTER = " Not you? Contact us at once."
NOTICE_TEXTS = {
    event: f"{{app}}: {what}.{_AFTER}"
    for event, what in {
        "number_added": "this phone number was added to your account",
        "number_changed": "the phone number of your account was changed",
        "number_removed": "this phone number was removed from your account",
        "authenticator_added": "a new way to sign in was added to your account",
        "authenticator_removed": "a way to sign in was removed from your account",
        "password_changed": "the password of your account was changed",
        "email_changed": "the e-mail address of your account was changed",
        "new_sign_in": "somebody signed in to your account from a new device",
        "recovery_started": "a recovery of your account was started",
    }.items()
}
NOTICE_LIFE = 15 * 60_000
"""Milliseconds after its time within which a notice is still worth another sender."""
LONGEST_AHEAD = 5 * 86_400_000
"""Telnyx holds a scheduled message at most 5 days (KB "schedule message")."""


class NoticeTextError(ValueError):
    """A configured text cannot be sent."""


class NoticeStatus(StrEnum):
    """Where a notice stands."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"
    CANCELED = "canceled"


def compose_notice(text: str, app_name: str) -> str:
    """The message of a configured text.

    Raises:
        NoticeTextError: it is too long, or does not say who sends it.
    """
    if "{app}" not in text:
        raise NoticeTextError("must say who sends it: put {app} into it")
    message = text.replace("{app}", app_name)
    if "{" in message or "}" in message:
        raise NoticeTextError("has another placeholder than {app}")
    try:
        return complete_notice(message, None)
    except TextError as error:
        raise NoticeTextError(str(error)) from None


def complete_notice(text: str, stop_text: str | None) -> str:
    """A notice and how to stop the messages of a sender that nobody can reply to. Raises TextError if it is
    longer than one segment; of UCS-2, which holds less than half, two."""
    message = f"{text} {stop_text}" if stop_text else text
    return in_segments(message, 2 if measure(message).encoding is Encoding.UCS_2 else 1)


def notice_status(v: Verification, now: int) -> NoticeStatus:
    """What a notice's record amounts to. What was sent and never reported on stays ``sent``."""
    if any(d.status is DeliveryStatus.DELIVERED for d in v.deliveries):
        return NoticeStatus.DELIVERED
    match v.status:
        case Status.CANCELED:
            return NoticeStatus.CANCELED
        case Status.UNDELIVERABLE:
            return NoticeStatus.UNDELIVERABLE
    if now < v.send_at:
        return NoticeStatus.SCHEDULED
    if any(d.outcome is not None and d.may_exist for d in v.deliveries):
        return NoticeStatus.SENT
    return NoticeStatus.SENDING if now < v.expires_at else NoticeStatus.UNDELIVERABLE
