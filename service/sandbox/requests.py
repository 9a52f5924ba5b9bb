"""A send request, checked as Telnyx checks it."""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from service.sandbox.encoding import MAX_PARTS, Encoded, encode, is_gsm7
from service.sandbox.errors import TelnyxError
from service.sandbox.scenarios import Kind

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{5,8}", re.ASCII)
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
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
    webhook_url: str | None
    webhook_failover_url: str | None
    use_profile_webhooks: bool

    @property
    def webhook_urls(self) -> tuple[str, ...]:
        """In the order in which they are tried."""
        return tuple(filter(None, (self.webhook_url, self.webhook_failover_url)))


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
    text, encoded = _read_text(fields, found)
    return SendRequest(
        kind=found,
        to=to,
        from_=from_,
        text=text,
        encoded=encoded,
        messaging_profile_id=profile,
        webhook_url=_read_url(fields, "webhook_url"),
        webhook_failover_url=_read_url(fields, "webhook_failover_url"),
        use_profile_webhooks=_read_use_profile(fields),
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
        if fields.get("messaging_profile_id") is None:
            raise TelnyxError("10004", "The 'from' parameter is required.", "/from")
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


def _read_text(fields: dict[str, Any], kind: Kind) -> tuple[str, Encoded]:
    text = _string(fields, "text")
    if not text:
        raise TelnyxError("10004", "The 'text' parameter is required for SMS.", "/text")
    # The alphanumeric endpoint knows no `encoding`, and what it does not know it ignores.
    wanted = "auto" if kind is Kind.ALPHANUMERIC else fields.get("encoding", "auto")
    if wanted not in _ENCODINGS:
        raise TelnyxError("10003", f"'encoding' must be one of {_ENCODINGS}.", "/encoding")
    if wanted == "gsm7" and not is_gsm7(text):
        raise TelnyxError("10003", "The text cannot be encoded as GSM-7.", "/text")
    encoded = encode(text, wanted)
    if encoded.parts > MAX_PARTS:
        raise TelnyxError("40302", f"The message has more than {MAX_PARTS} parts.", "/text")
    return text, encoded


def _read_url(fields: dict[str, Any], name: str) -> str | None:
    url = _string(fields, name)
    if not url:
        return None
    try:
        parts = urlsplit(url)
        readable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # An IPv6 address without its bracket, a port beyond 65535.
        readable = False
    if not readable:
        raise TelnyxError("10003", f"'{name}' must be a URL.", f"/{name}")
    return url


def _read_use_profile(fields: dict[str, Any]) -> bool:
    value = fields.get("use_profile_webhooks", True)
    if value is not None and not isinstance(value, bool):
        raise TelnyxError(
            "10003", "'use_profile_webhooks' must be a boolean.", "/use_profile_webhooks"
        )
    return value is not False
