"""Number Lookup's answer as a domain value (``NumberLookupRecord`` of Telnyx's OpenAPI document)."""

from contextlib import suppress
from datetime import date

from service.domain.line import Line
from service.domain.recipient import NumberType
from service.telnyx.resources import NumberLookup

_TYPES = {
    "fixed line": NumberType.LANDLINE,
    "mobile": NumberType.MOBILE,
    "voip": NumberType.VOIP,
    # As with libphonenumber: most of those that ask for codes are mobiles.
    "fixed line or mobile": NumberType.MOBILE,
    "toll free": NumberType.TOLL_FREE,
    "premium rate": NumberType.PREMIUM,
    "shared cost": NumberType.SHARED_COST,
    "personal number": NumberType.PERSONAL,
    "pager": NumberType.PAGER,
    "uan": NumberType.UAN,
    "voicemail": NumberType.VOICEMAIL,
}


def read_line(found: NumberLookup) -> Line:
    """What Telnyx leaves out, or calls ``unknown``, says nothing."""
    carrier, portability = found.carrier, found.portability
    type_ = _TYPES.get(carrier.type or "") if carrier is not None else None
    ported = None
    if portability is not None and portability.ported_date:
        with suppress(ValueError):
            ported = date.fromisoformat(portability.ported_date[:10])
    return Line(type_, ported)
