"""What the account has: messaging profiles, numbers, alphanumeric sender IDs, autoresponses.

Profiles and numbers come into being where something names them (a send, a sender ID), because the
sandbox has no call to buy or make them: it takes any sender of the right form.
"""

import secrets
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from service.sandbox.errors import TelnyxError
from service.sandbox.fields import E164
from service.sandbox.inbound import built_in
from service.sandbox.lookup import countries, country_of
from service.sandbox.messages import ORGANIZATION, PROFILE, UNASKED_SENDER, now
from service.sandbox.requests import SendRequest
from service.sandbox.scenarios import Kind
from service.sandbox.store import Shelf, Store

_NUMBERS = (UNASKED_SENDER, "+18445550009", "12345")
_TOLL_FREE = tuple(f"+18{digit}{digit}" for digit in "0345678")
_TYPES = {"start": "START", "stop": "STOP", "info": "HELP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    id: str
    name: str
    v1_secret: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)

    def payload(self, webhook_url: str | None) -> dict[str, Any]:
        """``MessagingProfile``."""
        return {
            "record_type": "messaging_profile",
            "id": self.id,
            "organization_id": ORGANIZATION,
            "name": self.name,
            "enabled": True,
            "webhook_url": webhook_url,
            "webhook_failover_url": None,
            "webhook_api_version": "2",
            "whitelisted_destinations": countries(),
            "number_pool_settings": {
                "toll_free_weight": 10,
                "long_code_weight": 1,
                "skip_unhealthy": True,
                "sticky_sender": False,
                "geomatch": False,
            },
            "url_shortener_settings": None,
            "alpha_sender": None,
            "daily_spend_limit": "100.00",
            "daily_spend_limit_enabled": False,
            "mms_fall_back_to_sms": False,
            "mms_transcoding": False,
            "mobile_only": False,
            "redaction_enabled": False,
            "redaction_level": 2,
            "smart_encoding": False,
            "health_webhook_url": None,
            "resource_group_id": None,
            "ai_assistant_id": None,
            "v1_secret": self.v1_secret,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedNumber:
    """``messaging_profile_id`` is ``None`` for one that is assigned to none, and cannot send."""

    phone_number: str
    messaging_profile_id: str | None
    messaging_product: str = "A2P"
    tags: tuple[str, ...] = ()
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)

    @property
    def id(self) -> str:
        return str(uuid5(NAMESPACE_URL, f"tel:{self.phone_number}"))

    @property
    def type(self) -> str:
        if not self.phone_number.startswith("+"):
            return "shortcode"
        return "tollfree" if self.phone_number.startswith(_TOLL_FREE) else "longcode"

    def payload(self, health: dict[str, Any]) -> dict[str, Any]:
        """``PhoneNumberWithMessagingSettings``."""
        both_ways = {"domestic_two_way": True, "international_inbound": True}
        return {
            "record_type": "messaging_settings",
            "id": self.id,
            "phone_number": self.phone_number,
            "country_code": country_of(self.phone_number) or "US",
            "type": self.type,
            "messaging_profile_id": self.messaging_profile_id,
            "messaging_product": self.messaging_product,
            "eligible_messaging_products": ["A2P", "P2P"],
            "traffic_type": self.messaging_product,
            "features": {
                "sms": {**both_ways, "international_outbound": True},
                "mms": {**both_ways, "international_outbound": False},
            },
            "health": health,
            "tags": list(self.tags),
            "organization_id": ORGANIZATION,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderId:
    alphanumeric_sender_id: str
    messaging_profile_id: str
    us_long_code_fallback: str | None
    id: str = field(default_factory=lambda: str(uuid4()))

    def payload(self) -> dict[str, Any]:
        """``AlphanumericSenderId``; a fallback that is not set is left out."""
        found = {
            "record_type": "alphanumeric_sender_id",
            "id": self.id,
            "alphanumeric_sender_id": self.alphanumeric_sender_id,
            "messaging_profile_id": self.messaging_profile_id,
            "organization_id": ORGANIZATION,
        }
        if self.us_long_code_fallback is not None:
            found["us_long_code_fallback"] = self.us_long_code_fallback
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoresponse:
    """``op``: ``start``, ``stop`` or ``info``; ``country_code``: of the phone, ``*`` for all."""

    profile_id: str
    op: str
    keywords: tuple[str, ...]
    country_code: str
    resp_text: str | None
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)

    def payload(self) -> dict[str, Any]:
        """``AutorespConfigSchema``; a text that is not set is left out."""
        found = {
            "id": self.id,
            "op": self.op,
            "keywords": list(self.keywords),
            "country_code": self.country_code,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }
        return found if self.resp_text is None else {**found, "resp_text": self.resp_text}


class Account:
    def __init__(self, store: Store) -> None:
        self.profiles = Shelf(store, "profile", Profile)
        self.numbers = Shelf(store, "number", HostedNumber)
        self.sender_ids = Shelf(store, "sender_id", SenderId)
        self.autoresponses = Shelf(store, "autoresponse", Autoresponse)
        self.know_profile(PROFILE)
        for number in _NUMBERS:
            self.know_number(number)

    def know_profile(self, id_: str) -> None:
        if id_ not in self.profiles:
            name = "Sandbox" if id_ == PROFILE else f"Sandbox {len(self.profiles) + 1}"
            self.profiles.put(id_, Profile(id=id_, name=name))

    def know_number(self, address: str, profile: str = PROFILE) -> HostedNumber:
        found = self.numbers.get(address)
        if found is None:
            found = HostedNumber(phone_number=address, messaging_profile_id=profile)
            self.numbers.put(address, found)
        return found

    def profile_of(self, address: str) -> str:
        """The profile that a text to one of the account's numbers belongs to."""
        number = self.numbers.get(address)
        return (number and number.messaging_profile_id) or PROFILE

    def settle(self, request: SendRequest) -> SendRequest:
        """The request with its messaging profile, and from whom it really goes out.

        Raises:
            TelnyxError: the sender cannot send this.
        """
        if request.kind is Kind.ALPHANUMERIC and request.to.startswith("+1"):
            request = self._by_long_code(request)
        profile = request.messaging_profile_id
        if profile is not None:
            self.know_profile(profile)
        if request.kind is not Kind.ALPHANUMERIC:
            number = self.know_number(request.from_, profile or PROFILE)
            if number.messaging_profile_id is None and request.kind is not Kind.WHATSAPP:
                detail = "The 'from' number is assigned to no messaging profile."
                raise TelnyxError("40305", detail, "/from")
            profile = profile or number.messaging_profile_id
        return replace(request, messaging_profile_id=profile or PROFILE)

    def _by_long_code(self, request: SendRequest) -> SendRequest:
        for sender in self.sender_ids.values():
            if sender.alphanumeric_sender_id == request.from_ and sender.us_long_code_fallback:
                return replace(request, kind=Kind.LONG_CODE, from_=sender.us_long_code_fallback)
        raise TelnyxError("40301", "Alphanumeric senders cannot send to this country.", "/to")

    def autoresponses_of(self, profile: str) -> list[Autoresponse]:
        return [one for one in self.autoresponses.values() if one.profile_id == profile]

    def respond(self, profile: str, phone: str, text: str) -> tuple[str | None, str | None]:
        """``autoresponse_type`` of a text that a phone wrote, and what it is answered with."""
        words = _words(text)
        kind = built_in(words)
        configs = self.autoresponses_of(profile)
        country = country_of(phone) if configs else None
        # What is meant for the country comes before what is meant for all.
        for one in sorted(configs, key=lambda one: one.country_code == "*"):
            if one.country_code in (country, "*") and words in {
                " ".join(keyword.split()).upper() for keyword in one.keywords
            }:
                # The built-in words keep their meaning, whatever they are configured to be.
                return kind or _TYPES[one.op], one.resp_text
        return kind, None


def _words(text: str) -> str:
    """Keywords are compared whatever their case and blanks."""
    return " ".join(text.split()).upper()


def is_us_long_code(address: str) -> bool:
    return E164.fullmatch(address) is not None and address.startswith("+1")
