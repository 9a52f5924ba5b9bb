"""The phone number being verified: E.164, its country and type, and how it may be shown."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

import phonenumbers
from phonenumbers import PhoneNumberType

# ITU-T E.164: a country code that does not begin with 0, at most 15 digits in all.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_NANP = 1
_CALLING_CODES = frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
_LINE_DIGITS = 4


class InvalidNumberError(ValueError):
    """The text is no phone number that could exist; the message never repeats it."""


class NumberType(StrEnum):
    """What libphonenumber says of a number's use."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL = "personal"
    PAGER = "pager"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    UNKNOWN = "unknown"


_TYPES = {
    PhoneNumberType.FIXED_LINE: NumberType.LANDLINE,
    PhoneNumberType.MOBILE: NumberType.MOBILE,
    # North American numbers do not tell the two apart; most that ask for codes are mobiles.
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberType.MOBILE,
    PhoneNumberType.TOLL_FREE: NumberType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: NumberType.PREMIUM,
    PhoneNumberType.SHARED_COST: NumberType.SHARED_COST,
    PhoneNumberType.VOIP: NumberType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: NumberType.PERSONAL,
    PhoneNumberType.PAGER: NumberType.PAGER,
    PhoneNumberType.UAN: NumberType.UAN,
    PhoneNumberType.VOICEMAIL: NumberType.VOICEMAIL,
}


@dataclass(frozen=True, slots=True, repr=False)
class Recipient:
    """A phone number that does not print: ``repr`` and ``str`` show the mask only.

    ``country`` is ISO 3166-1 alpha-2, or ``ZZ`` where the number belongs to no country
    (satellite and other global services).
    """

    e164: str
    country: str
    number_type: NumberType
    masked: str = field(init=False, compare=False)
    """The country code and the last two digits: ``+1********00``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "masked", mask(self.e164))

    @property
    def prefix(self) -> str:
        """The number without its last four digits: the unit in which pumping comes."""
        return prefix_of(self.e164)

    def __repr__(self) -> str:
        return f"Recipient({self.masked})"

    __str__ = __repr__


def prefix_of(e164: str) -> str:
    """As ``Recipient.prefix``, of a number that was read before."""
    return e164[:-_LINE_DIGITS]


def is_e164(text: str) -> bool:
    """Whether the text has the form of a number: not a short code, a name or a mask."""
    return _E164.fullmatch(text) is not None


def mask(e164: str) -> str:
    """Hide all of an E.164 number but its country code and last two digits."""
    country_code = _calling_code(e164)
    hidden = len(e164) - 1 - len(country_code) - 2
    return f"+{country_code}{'*' * max(hidden, 0)}{e164[-2:]}"


def _calling_code(e164: str) -> str:
    """No calling code is the beginning of another (ITU-T E.164)."""
    codes = (e164[1:length] for length in range(2, 5))
    return next((code for code in codes if code in _CALLING_CODES), "")


def parse_recipient(text: str) -> Recipient:
    """Read an E.164 number.

    Outside North America a number that is merely *possible* (right length for its country)
    passes: numbering plans grow faster than libphonenumber's tables, and the ranges reserved for
    fiction, which tests use, are in no table. The North American plan is stable, so there the
    number must be valid.

    Raises:
        InvalidNumberError: the text is not E.164, or no such number can exist.
    """
    if not _E164.fullmatch(text):
        raise InvalidNumberError(
            "must be an E.164 number: '+', the country code and the number, 7 to 15 digits in all"
        )
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise InvalidNumberError("must begin with a country code that exists") from None
    kind = phonenumbers.number_type(number)
    # A number is valid where its type is known: libphonenumber asks the same tables.
    is_known = kind != PhoneNumberType.UNKNOWN
    if not is_known and (
        number.country_code == _NANP or not phonenumbers.is_possible_number(number)
    ):
        raise InvalidNumberError("must be a phone number that can exist in its country")
    return Recipient(text, _country(number), _TYPES.get(kind, NumberType.UNKNOWN))


def _country(number: phonenumbers.PhoneNumber) -> str:
    region = phonenumbers.region_code_for_number(number)
    if region is None:
        region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    return region if len(region) == 2 and region.isalpha() else "ZZ"
