"""A send request, checked as Telnyx checks it."""

import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.sandbox.encoding import MAX_PARTS, Encoded, encode, is_gsm7
from service.sandbox.errors import TelnyxError
from service.sandbox.scenarios import Kind

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{5,8}", re.ASCII)
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
_URL = re.compile(r"https?://[^\s]{1,2000}")
_FROM = {Kind.LONG_CODE: _E164, Kind.SHORT_CODE: _SHORT_CODE, Kind.ALPHANUMERIC: _ALPHANUMERIC}
_ENCODINGS = ("auto", "gsm7", "ucs2")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """A request that Telnyx would take."""

    kind: Kind
    to: str
    from_: str
    text: str
    encoded: Encoded
    messaging_profile_id: str | None
    webhook_urls: tuple[str, ...]
    use_profile_webhooks: bool


def read_request(body: bytes, kind: Kind | None) -> SendRequest:
    """Read a body; ``kind`` is ``None`` for the generic endpoint, where ``from`` tells.

    Raises:
        TelnyxError: as Telnyx refuses it.
    """
    fields = _read_json(body)
    to = _read_to(fields)
    found = kind or _kind_of(fields)
    from_ = _read_from(fields, found)
    profile = _read_profile(fields, found)
    if found is Kind.ALPHANUMERIC and to.startswith("+1"):
        raise TelnyxError("40301", "Alphanumeric senders cannot send to this country.", "/to")
    text, encoded = _read_text(fields)
    return SendRequest(
        kind=found,
        to=to,
        from_=from_,
        text=text,
        encoded=encoded,
        messaging_profile_id=profile,
        webhook_urls=_read_urls(fields),
        use_profile_webhooks=fields.get("use_profile_webhooks") is not False,
    )


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise TelnyxError("10015", "The request body is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise TelnyxError("10015", "The request body must be a JSON object.")
    return fields


def _string(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or (not value.isprintable() and name != "text"):
        raise TelnyxError("10003", f"'{name}' must be a string.", f"/{name}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise TelnyxError("10003", f"'{name}' must be Unicode text.", f"/{name}") from None
    return value


def _read_to(fields: dict[str, Any]) -> str:
    to = _string(fields, "to")
    if to is None:
        raise TelnyxError("10004", "The 'to' parameter is required.", "/to")
    if not _E164.fullmatch(to):
        raise TelnyxError("40310", "The 'to' address should be in +E.164 format.", "/to")
    return to


def _kind_of(fields: dict[str, Any]) -> Kind:
    from_ = _string(fields, "from")
    if from_ is None:
        return Kind.NUMBER_POOL
    for kind, form in _FROM.items():
        if form.fullmatch(from_):
            return kind
    raise TelnyxError("40305", "The 'from' address is not a sender of yours.", "/from")


def _read_from(fields: dict[str, Any], kind: Kind) -> str:
    if kind is Kind.NUMBER_POOL:
        return "+18445550009"  # the pool's one number
    from_ = _string(fields, "from")
    if from_ is None:
        raise TelnyxError("10004", "The 'from' parameter is required.", "/from")
    if not _FROM[kind].fullmatch(from_):
        raise TelnyxError("40305", f"The 'from' address is no {kind}.", "/from")
    return from_


def _read_profile(fields: dict[str, Any], kind: Kind) -> str | None:
    profile = _string(fields, "messaging_profile_id")
    if profile is None:
        if kind in (Kind.NUMBER_POOL, Kind.ALPHANUMERIC):
            raise TelnyxError(
                "10004",
                "The 'messaging_profile_id' parameter is required.",
                "/messaging_profile_id",
            )
        return None
    try:
        return str(UUID(profile))
    except ValueError:
        raise TelnyxError(
            "10003", "'messaging_profile_id' must be a UUID.", "/messaging_profile_id"
        ) from None


def _read_text(fields: dict[str, Any]) -> tuple[str, Encoded]:
    text = _string(fields, "text")
    if not text:
        raise TelnyxError("10004", "The 'text' parameter is required for SMS.", "/text")
    wanted = fields.get("encoding", "auto")
    if wanted not in _ENCODINGS:
        raise TelnyxError("10003", f"'encoding' must be one of {_ENCODINGS}.", "/encoding")
    if wanted == "gsm7" and not is_gsm7(text):
        raise TelnyxError("10003", "The text cannot be encoded as GSM-7.", "/text")
    encoded = encode(text, wanted)
    if encoded.parts > MAX_PARTS:
        raise TelnyxError("40302", f"The message has more than {MAX_PARTS} parts.", "/text")
    return text, encoded


def _read_urls(fields: dict[str, Any]) -> tuple[str, ...]:
    urls = []
    for name in ("webhook_url", "webhook_failover_url"):
        url = _string(fields, name)
        if url and not _URL.fullmatch(url):
            raise TelnyxError("10003", f"'{name}' must be a URL.", f"/{name}")
        if url:
            urls.append(url)
    return tuple(urls)
