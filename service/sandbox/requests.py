"""A send request, checked as Telnyx checks it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from service.sandbox.encoding import MAX_PARTS, Encoded, encode, is_gsm7
from service.sandbox.errors import TelnyxError
from service.sandbox.fields import ALPHANUMERIC, E164, SHORT_CODE, Fields, read_fields
from service.sandbox.scenarios import Kind
from service.sandbox.whatsapp import read_content, shown

_FROM = {
    Kind.LONG_CODE: E164,
    Kind.SHORT_CODE: SHORT_CODE,
    Kind.ALPHANUMERIC: ALPHANUMERIC,
    Kind.WHATSAPP: E164,
}
_ENCODINGS = ("auto", "gsm7", "ucs2")
_POOL_NUMBER = "+18445550009"
_MOST_RECIPIENTS = 8
# "Schedule a message", KB.
SOONEST, LATEST = timedelta(minutes=5), timedelta(days=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """A request that Telnyx would take. ``text`` is what the phone shows, ``send_at`` RFC 3339, ``cc``
    the others of a group, ``content`` the ``whatsapp_message``."""

    kind: Kind
    to: str
    from_: str
    text: str
    encoded: Encoded
    messaging_profile_id: str | None
    webhook_url: str | None
    webhook_failover_url: str | None
    use_profile_webhooks: bool
    subject: str | None = None
    media_urls: tuple[str, ...] = ()
    is_mms: bool = False
    send_at: str | None = None
    cc: tuple[str, ...] = ()
    content: dict[str, Any] | None = None

    @property
    def webhook_urls(self) -> tuple[str, ...]:
        """In the order in which they are tried."""
        return tuple(filter(None, (self.webhook_url, self.webhook_failover_url)))


def read_request(body: bytes, kind: Kind | None, content_type: str = "") -> SendRequest:
    """Read a body; ``kind`` is ``None`` for the generic endpoint, where ``from`` tells.

    Raises:
        TelnyxError: as Telnyx refuses it.
    """
    fields = read_fields(body, content_type=content_type)
    if kind is Kind.WHATSAPP:
        return _whatsapp(fields)
    return _sms(fields, kind, _send_at(fields) if kind is None else None)


def read_scheduled(body: bytes, content_type: str = "") -> SendRequest:
    """A body of the endpoint that schedules; it knows no ``encoding``. Raises like ``read_request``."""
    fields = read_fields(body, content_type=content_type)
    if (send_at := _send_at(fields)) is None:
        raise fields.missing("send_at")
    return _sms(fields, None, send_at, encoding="auto")


def read_group(body: bytes, content_type: str = "") -> list[SendRequest]:
    """A group MMS as one request for each recipient. Raises like ``read_request``."""
    fields = read_fields(body, content_type=content_type)
    if (given := fields.strings("to")) is None:
        raise fields.missing("to")
    numbers = list(dict.fromkeys(given))
    if not 1 <= len(numbers) <= _MOST_RECIPIENTS:
        raise fields.invalid("to", f"1 to {_MOST_RECIPIENTS} destinations")
    for index, number in enumerate(given):
        if not E164.fullmatch(number):
            detail = "The 'to' address should be in +E.164 format."
            raise TelnyxError("40310", detail, f"/to/{index}")
    text, encoded = _read_text(fields, required=not fields.value("media_urls"), encoding="auto")
    return [
        SendRequest(
            kind=Kind.LONG_CODE,
            to=number,
            from_=_read_from(fields, Kind.LONG_CODE),
            text=text,
            encoded=encoded,
            messaging_profile_id=None,
            subject=fields.string("subject"),
            media_urls=_read_media(fields),
            is_mms=True,
            cc=tuple(other for other in numbers if other != number),
            **_read_webhooks(fields),
        )
        for number in numbers
    ]


def _sms(
    fields: Fields, kind: Kind | None, send_at: str | None, encoding: str | None = None
) -> SendRequest:
    to = _read_to(fields)
    found = kind or _kind_of(fields)
    from_ = _read_from(fields, found)
    profile = _read_profile(fields, found)
    is_mms = _is_mms(fields, found)
    # The alphanumeric endpoint knows no `encoding`, and what it does not know it ignores.
    ignores = "auto" if found is Kind.ALPHANUMERIC else encoding
    text, encoded = _read_text(fields, required=not is_mms, encoding=ignores)
    fields.boolean("auto_detect")
    return SendRequest(
        kind=found,
        to=to,
        from_=from_,
        text=text,
        encoded=encoded,
        messaging_profile_id=profile,
        subject=fields.string("subject") if is_mms else None,
        media_urls=_read_media(fields) if is_mms else (),
        is_mms=is_mms,
        send_at=send_at,
        **_read_webhooks(fields),
    )


def _whatsapp(fields: Fields) -> SendRequest:
    to = _read_to(fields)
    from_ = _read_from(fields, Kind.WHATSAPP)
    content = fields.object("whatsapp_message")
    if content is None:
        raise fields.missing("whatsapp_message")
    fields.choice("type", ("WHATSAPP",))
    text = shown(read_content(content))
    return SendRequest(
        kind=Kind.WHATSAPP,
        to=to,
        from_=from_,
        text=text,
        encoded=encode(text),
        messaging_profile_id=fields.uuid("messaging_profile_id"),
        content=fields.value("whatsapp_message"),
        webhook_url=fields.url("webhook_url"),
        webhook_failover_url=None,
        use_profile_webhooks=True,
    )


def _read_to(fields: Fields) -> str:
    to = fields.required("to")
    if not E164.fullmatch(to):
        raise fields.refusal("40310", "The 'to' address should be in +E.164 format.", "to")
    return to


def _kind_of(fields: Fields) -> Kind:
    from_ = fields.string("from")
    if from_ is None:
        if fields.value("messaging_profile_id") is None:
            raise fields.missing("from")
        return Kind.NUMBER_POOL
    if (found := kind_of(from_)) is None:
        raise fields.refusal("40305", "The 'from' address is not a sender of yours.", "from")
    return found


def kind_of(address: str) -> Kind | None:
    """The kind of an SMS sender, told by its form."""
    return next((kind for kind, form in _FROM.items() if form.fullmatch(address)), None)


def _read_from(fields: Fields, kind: Kind) -> str:
    if kind is Kind.NUMBER_POOL:
        return _POOL_NUMBER
    from_ = fields.required("from")
    if not _FROM[kind].fullmatch(from_):
        raise fields.refusal("40305", f"The 'from' address is no {kind}.", "from")
    return from_


def _read_profile(fields: Fields, kind: Kind) -> str | None:
    profile = fields.uuid("messaging_profile_id")
    if profile is None and kind in (Kind.NUMBER_POOL, Kind.ALPHANUMERIC):
        raise fields.missing("messaging_profile_id")
    return profile


def _is_mms(fields: Fields, kind: Kind) -> bool:
    # Without a type, what there is to send tells.
    has_media = bool(fields.value("media_urls"))
    wanted = fields.choice("type", ("SMS", "MMS")) or ("MMS" if has_media else "SMS")
    if kind is Kind.ALPHANUMERIC and wanted == "MMS":
        raise fields.refusal("40308", "An alphanumeric sender cannot send MMS.", "from")
    if wanted == "SMS" and has_media:
        raise fields.refusal("40304", "An SMS has no media.", "media_urls")
    if wanted == "MMS" and not has_media:
        raise fields.missing("media_urls", " for MMS")
    return wanted == "MMS"


def _read_media(fields: Fields) -> tuple[str, ...]:
    urls = fields.strings("media_urls") or ()
    each = Fields({str(index): url for index, url in enumerate(urls)}, at="/media_urls")
    for index, url in enumerate(urls):
        if not url or each.url(str(index)) is None:
            raise each.invalid(str(index), "a URL")
    return urls


def _read_text(fields: Fields, *, required: bool, encoding: str | None) -> tuple[str, Encoded]:
    text = fields.string("text", lines=True)
    if not text:
        if required:
            raise fields.missing("text", " for SMS")
        return "", encode("")
    wanted = encoding or fields.choice("encoding", _ENCODINGS) or "auto"
    if wanted == "gsm7" and not is_gsm7(text):
        raise fields.invalid("text", "such that it can be encoded as GSM-7")
    encoded = encode(text, wanted)
    if encoded.parts > MAX_PARTS:
        raise fields.refusal("40302", f"The message has more than {MAX_PARTS} parts.", "text")
    return text, encoded


def _read_webhooks(fields: Fields) -> dict[str, Any]:
    return {
        "webhook_url": fields.url("webhook_url"),
        "webhook_failover_url": fields.url("webhook_failover_url"),
        "use_profile_webhooks": fields.boolean("use_profile_webhooks") is not False,
    }


def _send_at(fields: Fields) -> str | None:
    at = fields.time("send_at")
    if at is None:
        return None
    if not SOONEST <= at - datetime.now(UTC) <= LATEST:
        raise fields.invalid("send_at", "5 minutes to 5 days ahead")
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
