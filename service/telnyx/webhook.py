"""Telnyx's signed webhooks: bytes in, a delivery report or an inbound text out.

Ed25519 over ``timestamp | raw body`` (developers.telnyx.com, "Webhook signing"). The reader is total: any
bytes give a value or ``WebhookRefusedError``, nothing else. The text of an outbound message, which
carries the code in clear, is never read into a value.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.domain.verification import Report
from service.telnyx.message import milliseconds, read_message, to_report

SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
TOLERANCE_SECONDS = 300
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_REPORT_EVENTS = frozenset({"message.sent", "message.finalized"})
_INBOUND_EVENT = "message.received"


class WebhookRefusedError(Exception):
    """The webhook is not from Telnyx, or stale; ``reason`` is a word for logs and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class InboundText:
    """A person wrote to one of the senders."""

    event_id: str
    from_: str = field(repr=False)
    text: str = field(repr=False)
    messaging_profile_id: str | None = None
    autoresponse_type: str | None = None
    """The keyword that Telnyx took it for: STOP, START, HELP or none."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A webhook of a kind that is not needed; it is acknowledged all the same."""

    event_type: str


Event = Report | InboundText | Ignored


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Data(_Lenient):
    id: str = Field(max_length=64)
    event_type: str = ""
    occurred_at: datetime | None = None
    payload: object = None


class _Envelope(_Lenient):
    data: _Data


class _Inbound(_Lenient):
    class From(_Lenient):
        phone_number: str

    from_: From = Field(alias="from")
    text: str | None = None
    # Of any type: a STOP must not be lost because one of these is not what it should be.
    messaging_profile_id: object = None
    autoresponse_type: object = None


def read_public_keys(text: str) -> tuple[VerifyKey, ...]:
    """Read comma-separated public keys, each Base64 of 32 bytes as Telnyx's portal shows it.

    Raises:
        ValueError: a key is malformed; the message says which.
    """
    keys = []
    for position, item in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
        try:
            raw = base64.b64decode(item, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != _KEY_BYTES:
            raise ValueError(f"public key {position} is not Base64 of {_KEY_BYTES} bytes")
        keys.append(VerifyKey(raw))
    return tuple(keys)


def read_webhook(
    body: bytes, headers: Mapping[str, str], keys: Sequence[VerifyKey], now: int
) -> Event:
    """Check the signature over the raw body, then read it. ``now`` is in milliseconds; ``headers``
    must look names up without regard to case.

    Raises:
        WebhookRefusedError: the signature is missing, wrong or stale.
    """
    _check_signature(body, headers, keys, now)
    try:
        data = _Envelope.model_validate(json.loads(body)).data
    except (ValidationError, ValueError, RecursionError):
        return Ignored("unreadable")
    at = milliseconds(data.occurred_at) if data.occurred_at else now
    if data.event_type in _REPORT_EVENTS:
        message = read_message(data.payload)
        report = to_report(message, event_id=data.id, at=at) if message else None
        return report or Ignored(data.event_type)
    if data.event_type == _INBOUND_EVENT:
        return _read_inbound(data)
    return Ignored(data.event_type[:64])


def _check_signature(
    body: bytes, headers: Mapping[str, str], keys: Sequence[VerifyKey], now: int
) -> None:
    timestamp = headers.get(TIMESTAMP_HEADER)
    encoded = headers.get(SIGNATURE_HEADER)
    if not timestamp or not encoded:
        raise WebhookRefusedError("missing-signature")
    try:
        signature = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    if len(signature) != _SIGNATURE_BYTES:
        raise WebhookRefusedError("malformed-signature")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookRefusedError("malformed-timestamp")
    if abs(now / 1000 - int(timestamp)) > TOLERANCE_SECONDS:
        raise WebhookRefusedError("stale")
    signed = timestamp.encode() + b"|" + body
    if not any(_verifies(key, signed, signature) for key in keys):
        raise WebhookRefusedError("bad-signature")


def _verifies(key: VerifyKey, signed: bytes, signature: bytes) -> bool:
    try:
        key.verify(signed, signature)
    except CryptoError:
        return False
    return True


def _read_inbound(data: _Data) -> Event:
    try:
        inbound = _Inbound.model_validate(data.payload)
    except ValidationError:
        return Ignored(data.event_type)
    profile, answered = inbound.messaging_profile_id, inbound.autoresponse_type
    return InboundText(
        data.id,
        inbound.from_.phone_number,
        inbound.text or "",
        profile if isinstance(profile, str) else None,
        answered if isinstance(answered, str) else None,
    )
