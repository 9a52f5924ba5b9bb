"""All settings, checked together, and the small frozen values that parts of the service get."""

import re
from typing import Annotated, Literal

from nacl.signing import VerifyKey
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.domain.app import MAX_NAME, Ground
from service.domain.code import HASH_PROFILES, HashCost
from service.domain.decide import Policy
from service.domain.guard import ANY_KEY, Limit, Limits, parse_limit
from service.domain.keyring import Keyring, KeyringError, parse_keys
from service.domain.notice import NOTICE_TEXTS, NoticeTextError, complete_notice, compose_notice
from service.domain.opt_out_scope import Rule, Scopes
from service.domain.ordering import OrderingPolicy
from service.domain.plan import Route
from service.domain.rules import Action, Rules
from service.domain.text import TextError
from service.domain.texts import Texts, check_name, check_stop_texts, check_templates
from service.flow.advance import Messages
from service.flow.start import Routing
from service.settings.catalogue import cldr_languages, shipped_templates
from service.settings.money import MoneySection
from service.settings.sections import (
    SECOND,
    CallbacksSection,
    CodesSection,
    GuardSection,
    HashSection,
    HttpSection,
    LimitsSection,
    LookupSection,
    NoticeName,
    NumbersSection,
    OptOutsSection,
    OrderingSection,
    RedisSection,
    RouteSection,
    SenderSection,
    TextsSection,
    milliseconds,
)
from service.store.api_keys import PLAIN_KEY
from service.store.connection import Tls
from service.telnyx.autoresponses import Configured
from service.telnyx.client import SEND_TIMEOUT
from service.telnyx.http import TelnyxConfig
from service.telnyx.webhook import read_public_keys


def _fits_a_header(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("has a character that no API key has, such as a blank or a line's end")
    return key


def _can_stand_in_a_text(name: str) -> str:
    if faults := check_name(name):
        raise ValueError("; ".join(faults))
    return name


_AppName = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_can_stand_in_a_text)
]
_TelnyxKey = Annotated[
    SecretStr, Field(alias="TELNYX_API_KEY", min_length=1), AfterValidator(_fits_a_header)
]


class Settings(BaseSettings):
    """All settings. Top-level ones may also stand in the environment as ``COUNTERSIGN_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix="COUNTERSIGN_",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    keys: Annotated[SecretStr, Field(alias="COUNTERSIGN_KEYS")]
    redis_url: Annotated[SecretStr, Field(alias="REDIS_URL")]
    telnyx_api_key: _TelnyxKey
    telnyx_public_key: Annotated[str, Field(alias="TELNYX_PUBLIC_KEY", min_length=1)]

    api_key: Annotated[SecretStr | None, Field(alias="COUNTERSIGN_API_KEY")] = None
    """A first API key of the app ``default`` with every scope, made known at start."""

    public_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]
    telnyx_base_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] = (
        "https://api.telnyx.com/v2"
    )
    app_name: _AppName = "Countersign"
    senders: Annotated[dict[str, SenderSection], Field(min_length=1)]
    routes: Annotated[list[RouteSection], Field(min_length=1)]
    uniform_answers: bool = False
    """Starts, resends and codes are answered alike, whatever is known of the recipient."""
    adaptive: bool = False
    """The order of senders follows what is proven of them, see ``[ordering]``."""
    ordering: OrderingSection = OrderingSection()
    codes: CodesSection = CodesSection()
    texts: TextsSection = TextsSection()
    limits: LimitsSection = LimitsSection()
    guard: GuardSection = GuardSection()
    money: MoneySection = MoneySection()
    http: HttpSection = HttpSection()
    hash: HashSection = HashSection()
    numbers: NumbersSection = NumbersSection()
    lookup: LookupSection = LookupSection()
    redis: RedisSection = RedisSection()
    callbacks: CallbacksSection = CallbacksSection()
    opt_outs: OptOutsSection = OptOutsSection()
    autoresponses: Configured = []
    """What Telnyx answers to keywords; applied by ``countersign telnyx autoresponses apply``."""
    notices: dict[NoticeName, str] = {}
    """Texts of security notices by event, beside and instead of those that are there; ``{app}`` in them
    is the app's name."""
    upgrades: Literal["asked", "at_once"] = "asked"
    """When the data takes a new release's layout, which an older release cannot start on: once ``countersign
    migrate run`` says that none runs any more, or as soon as a process of the new one starts."""
    retention: Annotated[int, Field(ge=0, le=90 * 86_400)] = 86_400
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The environment wins over the TOML file, whose content is given as init values.
        return env_settings, init_settings

    @field_validator("public_url", "telnyx_base_url")
    @classmethod
    def _no_trailing_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @field_validator("keys")
    @classmethod
    def _keys_are_strong(cls, keys: SecretStr) -> SecretStr:
        try:
            Keyring(parse_keys(keys.get_secret_value()))
        except KeyringError as error:
            raise ValueError(str(error)) from None
        return keys

    @field_validator("api_key")
    @classmethod
    def _api_key_has_its_form(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not PLAIN_KEY.fullmatch(key.get_secret_value()):
            raise ValueError(
                "must be cs_, 12 hexadecimal digits, _, and at least 32 letters or digits"
            )
        return key

    @field_validator("telnyx_public_key")
    @classmethod
    def _public_keys_are_readable(cls, keys: str) -> str:
        if not read_public_keys(keys):
            raise ValueError("names no key")
        return keys

    @model_validator(mode="after")
    def _plans_name_senders(self) -> "Settings":
        unknown = {name for route in self.routes for name in route.plan if name not in self.senders}
        if unknown:
            listed = ", ".join(sorted(unknown))
            raise ValueError(f"routes: a plan names senders that are not configured: {listed}")
        return self

    @model_validator(mode="after")
    def _texts_can_be_sent(self) -> "Settings":
        stop_texts = _stop_texts(self.senders)
        faults = _text_faults(self.texts_(), self.texts, stop_texts)
        if faults := faults + self._notice_faults(stop_texts):
            raise ValueError("\n".join(faults))
        return self

    def _notice_faults(self, stop_texts: dict[str, str]) -> list[str]:
        faults = []
        for event, text in self.notice_texts().items():
            try:
                notice = compose_notice(text, self.app_name)
            except NoticeTextError as error:
                faults.append(f"notices.{event}: the text {error}")
                continue
            for sender, stop_text in stop_texts.items():
                try:
                    complete_notice(notice, stop_text)
                except TextError as error:
                    faults.append(f"senders.{sender}.stop_text: notices.{event} with it {error}")
        return faults

    @model_validator(mode="after")
    def _each_sender_has_a_scope(self) -> "Settings":
        without = [name for name, s in self.senders.items() if not s.messaging_profile_id]
        if self.opt_outs.scope is Rule.MESSAGING_PROFILE and without:
            raise ValueError(
                f"opt_outs.scope messaging_profile: these senders need messaging_profile_id, or no "
                f"opt-out would reach them: {', '.join(sorted(without))}"
            )
        return self

    def opt_out_scopes(self) -> Scopes:
        profiles = {s.messaging_profile_id for s in self.senders.values() if s.messaging_profile_id}
        return Scopes(self.opt_outs.scope, tuple(sorted(profiles)))

    def keyring(self) -> Keyring:
        return Keyring(parse_keys(self.keys.get_secret_value()))

    def public_keys(self) -> tuple[VerifyKey, ...]:
        return read_public_keys(self.telnyx_public_key)

    def telnyx(self) -> TelnyxConfig:
        return TelnyxConfig(
            base_url=self.telnyx_base_url, api_key=self.telnyx_api_key.get_secret_value()
        )

    def tls(self) -> Tls:
        return self.redis.tls()

    def policy(self) -> Policy:
        codes = self.codes
        return Policy(
            max_deliveries=codes.max_deliveries,
            unconfirmed_grace=milliseconds(codes.unconfirmed_grace),
            uncertain_grace=milliseconds(codes.uncertain_grace),
            min_useful_life=milliseconds(codes.min_useful_life),
        )

    def messages(self) -> Messages:
        return Messages(self.public_url, milliseconds(self.codes.resend_after))

    def texts_(self) -> Texts:
        return _texts(self.app_name, self.texts, self.codes)

    def notice_texts(self) -> dict[str, str]:
        """By event, with ``{app}`` in them."""
        return {**NOTICE_TEXTS, **self.notices}

    def ground(self) -> Ground:
        return Ground(
            senders=self.routing().senders,
            texts=self.texts_(),
            notices=self.notice_texts(),
            callbacks=self.callbacks.rules(),
            alphabet=self.codes.alphabet,
        )

    def limits_(self) -> Limits:
        section = self.limits
        keys = {ANY_KEY: ["20/600"], **section.keys}
        return Limits(
            recipient=_windows(section.recipient),
            client_ip=_windows(section.client_ip),
            without_client_ip=_windows(section.without_client_ip),
            prefix=_windows(section.prefix),
            country=_windows(section.country),
            app=_windows(section.app),
            api_key=_windows(section.api_key),
            keys={name: _windows(texts) for name, texts in keys.items()},
        )

    def rules(self) -> Rules:
        refused = dict.fromkeys(self.numbers.refuse, Action.BLOCK)
        return Rules(self.guard.countries, {**refused, **self.guard.number_types})

    def routing(self) -> Routing:
        return Routing(
            senders={name: section.sender(name) for name, section in self.senders.items()},
            routes=[Route(frozenset(r.countries), tuple(r.plan), r.fixed) for r in self.routes],
            attempts=self.codes.attempts,
            resend_after=milliseconds(self.codes.resend_after),
            code_length=self.codes.length,
            ttl=milliseconds(self.codes.ttl),
        )

    def ordering_policy(self) -> OrderingPolicy:
        return self.ordering.policy(adaptive=self.adaptive)

    def hash_cost(self) -> HashCost:
        return HASH_PROFILES[self.hash.profile]

    def lease(self) -> int:
        """Milliseconds: longer than the longest send, so that a live holder never loses it."""
        return milliseconds(SEND_TIMEOUT) + 4 * SECOND


class AccountSettings(BaseModel):
    """The part of the configuration that the operator's commands on the Telnyx account need."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    telnyx_base_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] = (
        "https://api.telnyx.com/v2"
    )
    telnyx_api_key: _TelnyxKey
    autoresponses: Configured = []

    def telnyx(self) -> TelnyxConfig:
        return TelnyxConfig(
            base_url=self.telnyx_base_url.rstrip("/"),
            api_key=self.telnyx_api_key.get_secret_value(),
            read_timeout=30.0,
        )


class TextSettings(BaseModel):
    """The part of the configuration that decides what stands in a code's message."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    app_name: _AppName = "Countersign"
    senders: dict[str, SenderSection] = {}
    codes: CodesSection = CodesSection()
    texts: TextsSection = TextsSection()

    @model_validator(mode="after")
    def _texts_can_be_sent(self) -> "TextSettings":
        stop_texts = _stop_texts(self.senders)
        if faults := _text_faults(self.texts_(), self.texts, stop_texts):
            raise ValueError("\n".join(faults))
        return self

    def texts_(self) -> Texts:
        return _texts(self.app_name, self.texts, self.codes)


def _texts(app_name: str, section: TextsSection, codes: CodesSection) -> Texts:
    return Texts(
        app_name=app_name,
        catalogue=shipped_templates(),
        languages=cldr_languages(),
        own=(section.templates,),
        max_segments=section.max_segments,
        grouping=codes.grouping,
    )


def _stop_texts(senders: dict[str, SenderSection]) -> dict[str, str]:
    return {name: s.stop_text for name, s in senders.items() if s.stop_text}


def _text_faults(texts: Texts, section: TextsSection, stop_texts: dict[str, str]) -> list[str]:
    wrong = check_templates(section.templates, texts, stop_texts)
    without_room = check_stop_texts(texts, stop_texts)
    return [*(f"texts.{fault}" for fault in wrong), *(f"senders.{fault}" for fault in without_room)]


def _windows(texts: list[str]) -> tuple[Limit, ...]:
    return tuple(parse_limit(text) for text in texts)
