"""Configuration: secrets from the environment or ``..._FILE``, the rest from one TOML file, read once.

Everything is checked at start, and every fault is named at once. Parts of the service get the small
values made here (``Policy``, ``Limits``, ``Routing`` ...), never the settings.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from nacl.signing import VerifyKey
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.domain.callback import CallbackRules
from service.domain.code import HASH_PROFILES, MAX_LENGTH, Code, HashCost
from service.domain.decide import Policy
from service.domain.guard import ANY_KEY, Limit, Limits, parse_limit
from service.domain.guess_budget import GuessBudget, parse_budget
from service.domain.keyring import Keyring, KeyringError, parse_keys
from service.domain.notice import NOTICE_TEXTS, NoticeTextError, compose_notice
from service.domain.opt_out_scope import Rule, Scopes
from service.domain.plan import Route, Sender, SenderKind, Template
from service.domain.pumping import FLOORS, Dimension, Mode, PumpingPolicy, SafeList
from service.domain.recipient import NumberType
from service.domain.rules import Action, Rules
from service.domain.text import TextError, compose, septets, with_stop_text
from service.flow.advance import Messages
from service.flow.start import Routing
from service.store.api_keys import PLAIN_KEY
from service.store.connection import Tls
from service.telnyx.autoresponses import Configured
from service.telnyx.client import SEND_TIMEOUT
from service.telnyx.http import TelnyxConfig
from service.telnyx.webhook import read_public_keys

SECRETS = (
    "COUNTERSIGN_KEYS",
    "COUNTERSIGN_API_KEY",
    "REDIS_URL",
    "TELNYX_API_KEY",
    "TELNYX_PUBLIC_KEY",
)
_SECOND = 1000
_MAX_APP_NAME = 40


class SettingsError(Exception):
    """The configuration is wrong; the message names every fault and what to do."""


def _fits_a_header(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("has a character that no API key has, such as a blank or a line's end")
    return key


_TelnyxKey = Annotated[
    SecretStr, Field(alias="TELNYX_API_KEY", min_length=1), AfterValidator(_fits_a_header)
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Country = Annotated[str, Field(pattern=r"^([A-Z]{2}|\*)$")]


def _is_readable(path: Path) -> Path:
    if not os.access(path, os.R_OK) or not path.is_file():
        raise ValueError("is no file that can be read")
    return path


_File = Annotated[Path, AfterValidator(_is_readable)]


class SenderSection(_Section):
    """``[senders.<name>]``; ``report_timeout`` in seconds."""

    kind: SenderKind
    from_: Annotated[str | None, Field(alias="from", max_length=16)] = None
    messaging_profile_id: str | None = None
    report_timeout: Annotated[float, Field(gt=0, le=600)] = 30
    template: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    template_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    language: Annotated[str | None, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")] = None
    stop_text: Annotated[str | None, Field(min_length=1, pattern=r"^[^\n\r]+$")] = None
    stop_countries: list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = []

    @model_validator(mode="after")
    def _stop_text_where_none_can_reply(self) -> "SenderSection":
        if self.kind is not SenderKind.ALPHANUMERIC and (self.stop_text or self.stop_countries):
            raise ValueError("stop_text is for kind alphanumeric: to the others people reply STOP")
        if self.stop_countries and not self.stop_text:
            raise ValueError("stop_countries needs stop_text")
        return self

    @model_validator(mode="after")
    def _complete(self) -> "SenderSection":
        needs_profile = self.kind in (SenderKind.ALPHANUMERIC, SenderKind.NUMBER_POOL)
        if needs_profile and not self.messaging_profile_id:
            raise ValueError(f"a sender of kind {self.kind} needs messaging_profile_id")
        if self.kind is SenderKind.NUMBER_POOL:
            if self.from_ is not None:
                raise ValueError("a number_pool takes no from: Telnyx picks a number of the pool")
        elif not self.from_:
            raise ValueError(f"a sender of kind {self.kind} needs from")
        return self

    @model_validator(mode="after")
    def _template_where_it_belongs(self) -> "SenderSection":
        if self.kind is not SenderKind.WHATSAPP:
            if self.template or self.template_id or self.language:
                raise ValueError("template, template_id and language are for kind whatsapp")
        elif self.template_id is None and not (self.template and self.language):
            raise ValueError(
                "a sender of kind whatsapp needs template_id, or template and language: the "
                "authentication template that Meta approved"
            )
        elif self.template_id is not None and (self.template or self.language):
            raise ValueError("template_id says which template: leave out template and language")
        return self


class RouteSection(_Section):
    """``[[routes]]``: countries (ISO 3166-1 alpha-2, or ``*``) and sender names in order."""

    countries: Annotated[list[_Country], Field(min_length=1)]
    plan: Annotated[list[str], Field(min_length=1)]


class CodesSection(_Section):
    """``[codes]``; durations in seconds."""

    length: Annotated[int, Field(ge=4, le=10)] = 6
    ttl: Annotated[int, Field(ge=60, le=600)] = 300
    attempts: Annotated[int, Field(ge=1, le=10)] = 5
    resend_after: Annotated[float, Field(ge=0, le=600)] = 30
    max_deliveries: Annotated[int, Field(ge=1, le=10)] = 4
    unconfirmed_grace: Annotated[float, Field(ge=0, le=600)] = 15
    uncertain_grace: Annotated[float, Field(ge=0, le=600)] = 5
    min_useful_life: Annotated[float, Field(ge=0, le=600)] = 60


def _is_limit(text: str) -> str:
    parse_limit(text)
    return text


_NoticeName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9_]{0,62}[a-z0-9])?$")]
_LimitText = Annotated[str, AfterValidator(_is_limit)]
_KeyName = Annotated[str, Field(pattern=r"^(\*|[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?)$")]


def _is_network(text: str) -> str:
    if ip_network(text).prefixlen == 0:
        # Whoever is trusted is believed about everybody: anybody could then choose an address.
        raise ValueError('must not be the whole internet: name your proxies, or "none"')
    return text


_Network = Annotated[str, AfterValidator(_is_network)]


class LimitsSection(_Section):
    """``[limits]``: lists of ``count/seconds``; an empty list switches a limit off."""

    recipient: list[_LimitText] = ["5/600", "10/86400"]
    client_ip: list[_LimitText] = ["20/600"]
    without_client_ip: list[_LimitText] = ["3000/60"]
    """What all starts of an app share that name no ``client_ip``, where that limit is on."""
    prefix: list[_LimitText] = ["500/600"]
    country: list[_LimitText] = []
    app: list[_LimitText] = []
    keys: dict[_KeyName, list[_LimitText]] = {}
    """By name, for ``limit_keys`` of a start; ``*`` stands for the names that are not listed."""
    api_key: list[_LimitText] = []
    """Requests of any kind with one API key."""
    failed_keys: _LimitText = "300/60"
    """Refused API keys from one caller's address, in each process."""


_Floor = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class SafeSection(_Section):
    """``[guard.pumping.safe]``: whose starts are counted, but never judged."""

    countries: frozenset[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = frozenset()
    prefixes: list[Annotated[str, Field(pattern=r"^\+[1-9][0-9]{0,14}$")]] = []
    """Beginnings of numbers, E.164."""
    apps: frozenset[str] = frozenset()
    clients: list[IPvAnyNetwork] = []
    """Networks of end users."""


class PumpingSection(_Section):
    """``[guard.pumping]``: sends against proven codes; ``hold`` and ``longest_hold`` in seconds."""

    mode: Mode = Mode.RECORD_ONLY
    floors: dict[Dimension, _Floor] = {}
    """Unproven messages in an hour and in a day that are always borne: ``prefix = [20, 50]``."""
    share: Annotated[float, Field(ge=0, le=10)] = 0.2
    """Of the most that was proven in an hour (a day) of 14 days: what is borne where that is more."""
    min_conversion: Annotated[float, Field(ge=0.05, le=0.95)] = 0.35
    """The lowest share of proven codes that passes for usual."""
    hold: Annotated[float, Field(ge=60, le=86_400)] = 900
    longest_hold: Annotated[float, Field(ge=60, le=86_400)] = 86_400
    safe: SafeSection = SafeSection()

    def policy(self) -> PumpingPolicy:
        return PumpingPolicy(
            mode=self.mode,
            floors={**FLOORS, **self.floors},
            share=self.share,
            min_conversion=self.min_conversion,
            hold=_milliseconds(self.hold),
            longest_hold=_milliseconds(self.longest_hold),
            safe=SafeList(
                countries=self.safe.countries,
                prefixes=tuple(self.safe.prefixes),
                apps=self.safe.apps,
                clients=tuple(self.safe.clients),
            ),
        )


class GuardSection(_Section):
    """``[guard]``: the guess budget of a recipient in an app, and rules; what no rule names is allowed."""

    wrong_codes: _LimitText = "10/86400"
    reserve: Annotated[int | None, Field(ge=0)] = None
    """How many of them only known clients may use: half by default."""
    known_by: list[_KeyName] = ["client_ip", "device"]
    """What makes a client known once it was approved: ``client_ip``, or names of limit keys. A key that names
    the account must not stand here."""
    countries: dict[_Country, Action] = {}
    number_types: dict[NumberType, Action] = {}
    pumping: PumpingSection = PumpingSection()

    @model_validator(mode="after")
    def _within_nist(self) -> "GuardSection":
        self.budget()
        return self

    def budget(self) -> GuessBudget:
        return parse_budget(parse_limit(self.wrong_codes), self.reserve, self.known_by)


class HttpSection(_Section):
    """``[http]``: ``trusted_proxies`` are the networks whose ``X-Forwarded-For`` is believed, or ``none``.
    ``inspection`` (``address:port``) takes ``/metrics``, ``/docs``, ``/openapi.json`` off the main port."""

    trusted_proxies: Literal["none"] | list[_Network] | None = None
    inspection: Annotated[str | None, Field(pattern=r"^[0-9A-Za-z.:\[\]-]+:[0-9]{1,5}$")] = None


class HashSection(_Section):
    """``[hash]``: the cost of argon2id, by profile; ``threads`` of the pool (default: one a core)."""

    profile: Literal["owasp", "rfc9106-low-memory", "light", "minimum"] = "owasp"
    threads: Annotated[int | None, Field(ge=1, le=64)] = None


class NumbersSection(_Section):
    """``[numbers]``: the number types that get no codes."""

    refuse: frozenset[NumberType] = frozenset(
        {
            NumberType.LANDLINE,
            NumberType.PREMIUM,
            NumberType.SHARED_COST,
            NumberType.PAGER,
            NumberType.UAN,
            NumberType.VOICEMAIL,
        }
    )


class RedisSection(_Section):
    """``[redis]``: PEM files for ``rediss://``, see ``service.store.connection.Tls``."""

    ca_file: _File | None = None
    cert_file: _File | None = None
    key_file: _File | None = None

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> "RedisSection":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("a client certificate needs both cert_file and key_file")
        return self


class CallbacksSection(_Section):
    """``[callbacks]``: ``url`` hears what belongs to no verification (opt-outs, alerts of the guard).
    ``allow_http``, ``allow_private`` (receivers on inner addresses) and ``ports`` (none: any) hold for
    every callback."""

    url: str | None = None
    allow_http: bool = False
    allow_private: bool = False
    ports: frozenset[Annotated[int, Field(ge=1, le=65535)]] = frozenset()

    @model_validator(mode="after")
    def _may_be_posted_to(self) -> "CallbacksSection":
        if self.url is not None:
            self.rules().check(self.url)
        return self

    def rules(self) -> CallbackRules:
        return CallbackRules(self.url, self.allow_http, self.allow_private, self.ports)


class OptOutsSection(_Section):
    """``[opt_outs]``: what a new opt-out is about; ``sync_interval`` in seconds, 0 for never."""

    scope: Rule = Rule.ALL
    sync_interval: Annotated[float, Field(ge=0, le=30 * 86_400)] = 3600


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
    app_name: Annotated[str, Field(min_length=1, max_length=_MAX_APP_NAME)] = "Countersign"
    senders: Annotated[dict[str, SenderSection], Field(min_length=1)]
    routes: Annotated[list[RouteSection], Field(min_length=1)]
    codes: CodesSection = CodesSection()
    limits: LimitsSection = LimitsSection()
    guard: GuardSection = GuardSection()
    http: HttpSection = HttpSection()
    hash: HashSection = HashSection()
    numbers: NumbersSection = NumbersSection()
    redis: RedisSection = RedisSection()
    callbacks: CallbacksSection = CallbacksSection()
    opt_outs: OptOutsSection = OptOutsSection()
    autoresponses: Configured = []
    """What Telnyx answers to keywords; applied by ``countersign telnyx autoresponses apply``."""
    notices: dict[_NoticeName, str] = {}
    """Texts of security notices by event, beside and instead of those that are there; ``{app}`` in them
    is the app's name."""
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

    @field_validator("app_name")
    @classmethod
    def _fits_gsm(cls, name: str) -> str:
        if septets(name) is None:
            raise ValueError("has a character outside the GSM-7 alphabet")
        return name

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
    def _notices_can_be_sent(self) -> "Settings":
        for event, text in self.notices.items():
            try:
                compose_notice(text, self.app_name)
            except NoticeTextError as error:
                raise ValueError(f"notices.{event}: the text {error}") from None
        return self

    @model_validator(mode="after")
    def _stop_texts_fit(self) -> "Settings":
        longest = [compose(Code("0" * MAX_LENGTH), self.app_name), *self.notice_texts().values()]
        for name, sender in self.senders.items():
            try:
                for text in longest:
                    with_stop_text(text, sender.stop_text)
            except TextError as error:
                raise ValueError(
                    f"senders.{name}.stop_text: the longest text with it {error}"
                ) from None
        return self

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
        return _tls(self.redis)

    def policy(self) -> Policy:
        codes = self.codes
        return Policy(
            max_deliveries=codes.max_deliveries,
            unconfirmed_grace=_milliseconds(codes.unconfirmed_grace),
            uncertain_grace=_milliseconds(codes.uncertain_grace),
            min_useful_life=_milliseconds(codes.min_useful_life),
        )

    def messages(self) -> Messages:
        return Messages(self.app_name, self.public_url, _milliseconds(self.codes.resend_after))

    def notice_texts(self) -> dict[str, str]:
        texts = {**NOTICE_TEXTS, **self.notices}
        return {event: compose_notice(text, self.app_name) for event, text in texts.items()}

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
            senders={name: _sender(name, section) for name, section in self.senders.items()},
            routes=[Route(frozenset(r.countries), tuple(r.plan)) for r in self.routes],
            attempts=self.codes.attempts,
            resend_after=_milliseconds(self.codes.resend_after),
            app_name=self.app_name,
        )

    def hash_cost(self) -> HashCost:
        return HASH_PROFILES[self.hash.profile]

    def lease(self) -> int:
        """Milliseconds: longer than the longest send, so that a live holder never loses it."""
        return _milliseconds(SEND_TIMEOUT) + 4 * _SECOND


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


def load_account_settings(
    config: Path | None, environ: Mapping[str, str] = os.environ
) -> AccountSettings:
    """Read what the account's commands need; neither Redis nor keys have to be set for them.

    Raises:
        SettingsError: naming every fault; no secret is repeated.
    """
    path, values = _read_file(config, environ)
    if base_url := environ.get("COUNTERSIGN_TELNYX_BASE_URL"):
        values["telnyx_base_url"] = base_url
    key = _secret("TELNYX_API_KEY", environ)
    try:
        return AccountSettings(**{**values, **({"TELNYX_API_KEY": key} if key is not None else {})})
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None


def load_settings(config: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the configuration.

    Raises:
        SettingsError: naming every fault; no secret is repeated.
    """
    path, values = _read_file(config, environ)
    secrets = {name: value for name in SECRETS if (value := _secret(name, environ)) is not None}
    try:
        return Settings(**{**values, **secrets})
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None


def load_pumping(path: Path) -> PumpingPolicy:
    """The policy in ``[guard.pumping]`` of a TOML file, whatever else the file holds.

    Raises:
        SettingsError: it cannot be read, or its policy is faulty.
    """
    guard = _read_toml(path).get("guard", {})
    section = guard.get("pumping") if isinstance(guard, dict) else None
    if section is None:
        raise SettingsError(f"{path} has no [guard.pumping]")
    try:
        return PumpingSection.model_validate(section).policy()
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None


def _read_file(
    config: Path | None, environ: Mapping[str, str]
) -> tuple[Path | None, dict[str, Any]]:
    path = config or (
        Path(environ["COUNTERSIGN_CONFIG"]) if "COUNTERSIGN_CONFIG" in environ else None
    )
    values = _read_toml(path) if path is not None else {}
    in_file = [name for name in ("keys", "redis_url", *map(str.lower, SECRETS)) if name in values]
    if in_file:
        raise SettingsError(
            f"{path}: {', '.join(in_file)}: secrets come from the environment or from files "
            f"(COUNTERSIGN_KEYS_FILE ...), not from the TOML file"
        )
    return path, values


def load_store(environ: Mapping[str, str] = os.environ) -> tuple[str, Tls]:
    """REDIS_URL and ``[redis]`` alone, for commands that work on the store.

    Raises:
        SettingsError: REDIS_URL is not set, or ``[redis]`` has faults.
    """
    url = _secret("REDIS_URL", environ)
    if url is None:
        raise SettingsError("REDIS_URL is not set: say where Redis is")
    path, values = _read_file(None, environ)
    try:
        return url, _tls(RedisSection.model_validate(values.get("redis", {})))
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None


def load_keyring(environ: Mapping[str, str] = os.environ) -> Keyring:
    """COUNTERSIGN_KEYS alone, for commands that need nothing else.

    Raises:
        SettingsError: it is not set, or its keys are missing, malformed or weak.
    """
    keys = _secret("COUNTERSIGN_KEYS", environ)
    if keys is None:
        raise SettingsError("COUNTERSIGN_KEYS is not set: set it or COUNTERSIGN_KEYS_FILE")
    try:
        return Keyring(parse_keys(keys))
    except KeyringError as error:
        raise SettingsError(f"COUNTERSIGN_KEYS: {error}") from None


def _secret(name: str, environ: Mapping[str, str]) -> str | None:
    file = environ.get(f"{name}_FILE")
    if file is None:
        return environ.get(name)
    if name in environ:
        raise SettingsError(f"{name} and {name}_FILE are both set: unset one of them")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE cannot be read: {type(error).__name__}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _explain(error: ValidationError, path: Path | None) -> str:
    lines = [f"the configuration {f'({path}) ' if path else ''}has {error.error_count()} fault(s):"]
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        where = ".".join(str(part) for part in fault["loc"]) or "top level"
        message = fault["msg"].removeprefix("Value error, ")
        if where in SECRETS and fault["type"] == "missing":
            message = f"not set: set {where} or {where}_FILE"
        elif where == "public_url" and fault["type"] == "missing":
            message = "not set: the address where Telnyx reaches this service"
        lines.append(f"  {where}: {message}")
    return "\n".join(lines)


def _windows(texts: list[str]) -> tuple[Limit, ...]:
    return tuple(parse_limit(text) for text in texts)


def _tls(section: RedisSection) -> Tls:
    files = (section.ca_file, section.cert_file, section.key_file)
    return Tls(*(str(file) if file is not None else None for file in files))


def _milliseconds(seconds: float) -> int:
    return int(seconds * _SECOND)


def _sender(name: str, section: SenderSection) -> Sender:
    return Sender(
        name=name,
        kind=section.kind,
        from_=section.from_,
        messaging_profile_id=section.messaging_profile_id,
        report_timeout=_milliseconds(section.report_timeout),
        template=_template(section),
        stop_text=section.stop_text,
        stop_countries=frozenset(section.stop_countries),
    )


def _template(section: SenderSection) -> Template | None:
    if section.kind is not SenderKind.WHATSAPP:
        return None
    return Template(section.template_id, section.template, section.language)
