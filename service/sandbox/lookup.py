"""Number lookup: what the last four digits, or a control call, say of a number."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

# phonenumbers takes a while to import, and most sandboxes are never asked: each function imports it.

Type = Literal[
    "fixed line",
    "mobile",
    "voip",
    "fixed line or mobile",
    "toll free",
    "premium rate",
    "shared cost",
    "personal number",
    "pager",
    "uan",
    "voicemail",
    "unknown",
]
_MAGIC: dict[str, Type] = {"0106": "fixed line", "0120": "voip", "0121": "premium rate"}
_PORTED_YESTERDAY = "0122"


@dataclass(frozen=True, slots=True)
class Line:
    """``ported_date``: ISO, ``None`` if it never was."""

    type: Type
    ported_date: str | None


def line_of(number: str) -> Line:
    """By the magic digits; ``0122`` was ported yesterday."""
    digits = number[-4:]
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    ported = yesterday.isoformat() if digits == _PORTED_YESTERDAY else None
    return Line(_MAGIC.get(digits, "mobile"), ported)


def record(number: str, line: Line, wanted: str | None) -> dict[str, Any]:
    """``NumberLookupRecord``; without ``wanted`` neither carrier nor name is looked up."""
    found: dict[str, Any] = {
        "record_type": "number_lookup",
        "phone_number": number,
        "country_code": country_of(number) or "",
        "national_format": _national_format(number),
        "fraud": None,
    }
    if wanted == "carrier":
        found |= {"carrier": _carrier(line), "portability": _portability(line)}
    elif wanted == "caller-name":
        found["caller_name"] = {"caller_name": "SANDBOX PERSON", "error_code": ""}
    return found


def country_of(number: str) -> str | None:
    """ISO 3166-1 alpha-2, ``None`` for what belongs to no country (a short code)."""
    import phonenumbers  # noqa: PLC0415

    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None


def is_possible(number: str) -> bool:
    import phonenumbers  # noqa: PLC0415

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


@cache
def countries() -> list[str]:
    """All that numbers can belong to."""
    import phonenumbers  # noqa: PLC0415

    return sorted(phonenumbers.SUPPORTED_REGIONS)


def _national_format(number: str) -> str:
    import phonenumbers  # noqa: PLC0415

    national = phonenumbers.PhoneNumberFormat.NATIONAL
    return str(phonenumbers.format_number(phonenumbers.parse(number), national))


def _carrier(line: Line) -> dict[str, Any]:
    is_mobile = line.type == "mobile"
    return {
        "name": "SANDBOX WIRELESS",
        "type": line.type,
        "mobile_country_code": "001" if is_mobile else "",
        "mobile_network_code": "01" if is_mobile else "",
        "normalized_carrier": "Sandbox",
        "error_code": None,
    }


def _portability(line: Line) -> dict[str, str]:
    return {
        "line_type": line.type,
        "ported_status": "N" if line.ported_date is None else "Y",
        "ported_date": line.ported_date or "",
        "lrn": "",
        "ocn": "",
        "spid": "",
        "spid_carrier_name": "SANDBOX WIRELESS",
        "spid_carrier_type": "",
        "altspid": "",
        "altspid_carrier_name": "",
        "altspid_carrier_type": "",
        "city": "",
        "state": "",
    }
