"""What Telnyx's account calls answer with. Read leniently: fields and values that Telnyx adds are kept
as they came, and nothing is refused for being new."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def _in_utc(instant: datetime) -> datetime:
    """Telnyx writes some times with a blank and without a zone; they are UTC."""
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


Instant = Annotated[datetime, AfterValidator(_in_utc)]
Texts = Annotated[list[str], BeforeValidator(lambda value: value or [])]


class Resource(BaseModel):
    """Anything of the account. ``model_extra`` holds what is not named here."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, coerce_numbers_to_str=True)

    def as_it_came(self) -> dict[str, Any]:
        """What Telnyx gave under its own names, for scripts; a secret is masked."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Party(Resource):
    phone_number: str | None = None
    status: str | None = None
    carrier: str | None = None
    line_type: str | None = None


class MessageRecord(Resource):
    """A message, outbound or inbound; where it stands is in ``to[].status``."""

    id: str
    direction: str | None = None
    type: str | None = None
    from_: Annotated[Party | None, Field(alias="from")] = None
    to: Annotated[list[Party], BeforeValidator(lambda value: value or [])] = Field(
        default_factory=list
    )
    send_at: Instant | None = None
    messaging_profile_id: str | None = None

    @property
    def status(self) -> str | None:
        return self.to[0].status if self.to else None


class AlphanumericSenderId(Resource):
    id: str
    alphanumeric_sender_id: str
    messaging_profile_id: str | None = None
    us_long_code_fallback: str | None = None


class HostedNumber(Resource):
    """A number of the account with its messaging settings."""

    id: str
    phone_number: str
    country_code: str | None = None
    type: str | None = None
    messaging_profile_id: str | None = None
    messaging_product: str | None = None
    traffic_type: str | None = None
    tags: Texts = Field(default_factory=list)


class OptOutItem(Resource):
    """A block: ``to`` is the person who sent STOP, ``from_`` the sender they sent it to."""

    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None
    messaging_profile_id: str | None = None
    keyword: str | None = None
    created_at: Instant | None = None


class Metrics(Resource):
    """Figures of a messaging profile, free-form as Telnyx declares them."""


class MessagingProfile(Resource):
    """Telnyx gives ``v1_secret`` with every profile; it does not print, and ``as_it_came`` masks it."""

    id: str
    name: str | None = None
    enabled: bool | None = None
    webhook_url: str | None = None
    webhook_failover_url: str | None = None
    webhook_api_version: str | None = None
    whitelisted_destinations: Texts = Field(default_factory=list)
    v1_secret: SecretStr | None = None


class Autoresponse(Resource):
    """What Telnyx answers to a keyword. ``op``: start, stop or info."""

    id: str
    op: str
    keywords: Texts = Field(default_factory=list)
    country_code: str
    resp_text: str | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class LookupCarrier(Resource):
    name: str | None = None
    type: str | None = None


class LookupPortability(Resource):
    line_type: str | None = None
    ported_status: str | None = None
    ported_date: str | None = None


class NumberLookup(Resource):
    phone_number: str | None = None
    country_code: str | None = None
    carrier: LookupCarrier | None = None
    portability: LookupPortability | None = None


class _Meta(BaseModel):
    total_pages: int | None = None
    total_results: int | None = None


class Listing(BaseModel):
    """The envelope of a list. An answer without ``data`` is none: who takes it for an empty list would
    lift every opt-out."""

    data: list[object]
    meta: Annotated[_Meta, BeforeValidator(lambda value: value or {})] = _Meta()


R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list; ``number`` counts from 1."""

    items: Sequence[R]
    number: int
    total_pages: int
    total_results: int
