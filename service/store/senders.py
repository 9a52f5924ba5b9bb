"""Through which sender each person's last code came."""

from collections.abc import Sequence

from service.store.keys import RecipientKeys
from service.store.scripts import Call, Reply


def last_sender_call(recipient_id: str, app: str) -> Call:
    return Call("last_sender", {"last_sender": RecipientKeys(recipient_id).last_sender(app)}, {})


def read_last_sender(replies: Sequence[Reply]) -> str | None:
    return replies[0][1] or None if replies else None
