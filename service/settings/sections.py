"""The tables of the TOML file, each checked by itself."""

import os
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, model_validator

from service.domain.callback import CallbackRules
from service.domain.code import MAX_LENGTH, MIN_BITS, MIN_LENGTH, Alphabet, Grouping
from service.domain.guard import parse_limit
from service.domain.guess_budget import GuessBudget, parse_budget
from service.domain.line import LookupPolicy
from service.domain.opt_out_scope import Rule
from service.domain.ordering import OrderingPolicy
from service.domain.plan import Sender, SenderKind, Template
from service.domain.pumping import FLOORS, Dimension, Mode, PumpingPolicy, SafeList
from service.domain.quarantine import QuarantinePolicy
from service.domain.recipient import NumberType
from service.domain.rules import Action
from service.domain.segments import MOST_SEGMENTS
from service.domain.stats import MICROS
from service.settings.money import BreakerSection
from service.store.connection import Tls

SECOND = 1000


def milliseconds(seconds: float) -> int:
    return int(seconds * SECOND)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Country = Annotated[str, Field(pattern=r"^([A-Z]{2}|\*)$")]


def _is_readable(path: Path) -> Path:
    if not os.access(path, os.R_OK) or not path.is_file():
        raise ValueError("is no file that can be read")
    return path


_File = Annotated[Path, AfterValidator(_is_readable)]


class SenderSection(Section):
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

    def sender(self, name: str) -> Sender:
        return Sender(
            name=name,
            kind=self.kind,
            from_=self.from_,
            messaging_profile_id=self.messaging_profile_id,
            report_timeout=milliseconds(self.report_timeout),
            template=self._template(),
            stop_text=self.stop_text,
            stop_countries=frozenset(self.stop_countries),
        )

    def _template(self) -> Template | None:
        if self.kind is not SenderKind.WHATSAPP:
            return None
        return Template(self.template_id, self.template, self.language)


class RouteSection(Section):
    """``[[routes]]``: countries (ISO 3166-1 alpha-2, or ``*``) and sender names in order. ``fixed``: in this
    order, whatever is learnt."""

    countries: Annotated[list[_Country], Field(min_length=1)]
    plan: Annotated[list[str], Field(min_length=1)]
    fixed: bool = False


class OrderingSection(Section):
    """``[ordering]``: how the order of senders is learnt. ``sticky`` (a person's last good sender comes
    first) and ``quarantine`` (a sender whose failures spike comes last) are on where ``adaptive`` is,
    unless they are set here."""

    sticky: bool | None = None
    quarantine: bool | None = None
    explore: Annotated[float, Field(ge=0, le=0.2)] = 0.05
    """The share of starts, at most, that try another sender first, to learn how it does."""
    approval_worth: Annotated[Decimal, Field(gt=0, le=1_000, decimal_places=6)] = Decimal(1)
    """What an approval by the first message is worth, in the currency of Telnyx's costs: with 1.0 a
    sender that costs 0.01 more a message has to prove one code more in a hundred."""

    hold: Annotated[float, Field(ge=60, le=86_400)] = 600
    """How long (seconds) a quarantine lasts for the first time, twice as long each time in a row."""
    longest_hold: Annotated[float, Field(ge=60, le=86_400)] = 14_400

    def quarantine_policy(self) -> QuarantinePolicy:
        hold = milliseconds(self.hold)
        longest = max(hold, milliseconds(self.longest_hold))
        return QuarantinePolicy(hold=hold, longest_hold=longest)

    def policy(self, *, adaptive: bool) -> OrderingPolicy:
        return OrderingPolicy(
            adaptive=adaptive,
            sticky=adaptive if self.sticky is None else self.sticky,
            quarantine=adaptive if self.quarantine is None else self.quarantine,
            explore=self.explore,
            worth=int(self.approval_worth * MICROS),
        )


class CodesSection(Section):
    """``[codes]``; durations in seconds."""

    length: Annotated[int, Field(ge=MIN_LENGTH, le=MAX_LENGTH)] = 6
    alphabet: Alphabet = Alphabet.DIGITS
    grouping: Grouping = Grouping.NONE
    """What stands between groups of a code in the sentence: 123 456. A last line has it in one piece."""
    ttl: Annotated[int, Field(ge=60, le=600)] = 300
    attempts: Annotated[int, Field(ge=1, le=10)] = 5
    resend_after: Annotated[float, Field(ge=0, le=600)] = 30
    max_deliveries: Annotated[int, Field(ge=1, le=10)] = 4
    unconfirmed_grace: Annotated[float, Field(ge=0, le=600)] = 15
    uncertain_grace: Annotated[float, Field(ge=0, le=600)] = 5
    min_useful_life: Annotated[float, Field(ge=0, le=600)] = 60

    @model_validator(mode="after")
    def _hard_to_guess(self) -> "CodesSection":
        if not self.alphabet.allows(self.length):
            bits = self.alphabet.bits(self.length)
            raise ValueError(
                f"{self.length} {self.alphabet} make a code of {bits:.0f} bits; {MIN_BITS} are the least"
            )
        return self


class TextsSection(BaseModel):
    """``[texts]``: ``max_segments`` of a code's message; and for each purpose (or ``*``) a table of
    templates by locale, as in ``[texts.login] de = "{code} ist dein {app}-Code."``."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, dict[str, str]]

    max_segments: Annotated[int, Field(ge=1, le=MOST_SEGMENTS)] = 1

    @property
    def templates(self) -> dict[str, dict[str, str]]:
        return self.__pydantic_extra__


def _is_limit(text: str) -> str:
    parse_limit(text)
    return text


NoticeName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9_]{0,62}[a-z0-9])?$")]
_LimitText = Annotated[str, AfterValidator(_is_limit)]
_KeyName = Annotated[str, Field(pattern=r"^(\*|[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?)$")]


def _is_network(text: str) -> str:
    if ip_network(text).prefixlen == 0:
        # Whoever is trusted is believed about everybody: anybody could then choose an address.
        raise ValueError('must not be the whole internet: name your proxies, or "none"')
    return text


_Network = Annotated[str, AfterValidator(_is_network)]


class LimitsSection(Section):
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


class SafeSection(Section):
    """``[guard.pumping.safe]``: whose starts are counted, but never judged."""

    countries: frozenset[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = frozenset()
    prefixes: list[Annotated[str, Field(pattern=r"^\+[1-9][0-9]{0,14}$")]] = []
    """Beginnings of numbers, E.164."""
    apps: frozenset[str] = frozenset()
    clients: list[IPvAnyNetwork] = []
    """Networks of end users."""


class PumpingSection(Section):
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
            hold=milliseconds(self.hold),
            longest_hold=milliseconds(self.longest_hold),
            safe=SafeList(
                countries=self.safe.countries,
                prefixes=tuple(self.safe.prefixes),
                apps=self.safe.apps,
                clients=tuple(self.safe.clients),
            ),
        )


class GuardSection(Section):
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
    breaker: BreakerSection = BreakerSection()

    @model_validator(mode="after")
    def _within_nist(self) -> "GuardSection":
        self.budget()
        return self

    def budget(self) -> GuessBudget:
        return parse_budget(parse_limit(self.wrong_codes), self.reserve, self.known_by)


class HttpSection(Section):
    """``[http]``: ``trusted_proxies`` are the networks whose ``X-Forwarded-For`` is believed, or ``none``.
    ``inspection`` (``address:port``) takes ``/metrics``, ``/docs``, ``/openapi.json`` off the main port."""

    trusted_proxies: Literal["none"] | list[_Network] | None = None
    inspection: Annotated[str | None, Field(pattern=r"^[0-9A-Za-z.:\[\]-]+:[0-9]{1,5}$")] = None


class HashSection(Section):
    """``[hash]``: the cost of argon2id, by profile; ``threads`` of the pool (default: one a core)."""

    profile: Literal["owasp", "rfc9106-low-memory", "light", "minimum"] = "owasp"
    threads: Annotated[int | None, Field(ge=1, le=64)] = None


class NumbersSection(Section):
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


class RedisSection(Section):
    """``[redis]``: PEM files for ``rediss://``, see ``service.store.connection.Tls``. ``durability``: who
    must have what may not be lost (codes sent, approvals, opt-outs) before it is answered."""

    ca_file: _File | None = None
    cert_file: _File | None = None
    key_file: _File | None = None
    durability: Literal["primary", "replica"] = "primary"

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> "RedisSection":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("a client certificate needs both cert_file and key_file")
        return self

    def tls(self) -> Tls:
        files = (self.ca_file, self.cert_file, self.key_file)
        return Tls(*(str(file) if file is not None else None for file in files))


class CallbacksSection(Section):
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


class PortedSection(Section):
    """``[lookup.recently_ported]``: a number that changed its carrier within ``days`` (0: off)."""

    days: Annotated[int, Field(ge=0, le=365)] = 0
    action: Action = Action.MONITOR


class LookupSection(Section):
    """``[lookup]``: Telnyx Number Lookup (billed) before the first message; its line types meet the same
    rules as libphonenumber's. ``timeout`` and ``cache`` in seconds."""

    enabled: bool = False
    timeout: Annotated[float, Field(ge=0.1, le=5)] = 2
    on_failure: Action = Action.ALLOW
    cache: Annotated[int, Field(ge=60, le=30 * 86_400)] = 86_400
    recently_ported: PortedSection = PortedSection()

    def policy(self) -> LookupPolicy | None:
        """``None``: nobody is looked up."""
        if not self.enabled:
            return None
        return LookupPolicy(
            timeout=self.timeout,
            on_failure=self.on_failure,
            ported_days=self.recently_ported.days,
            ported_action=self.recently_ported.action,
            keep=milliseconds(self.cache),
        )


class OptOutsSection(Section):
    """``[opt_outs]``: what a new opt-out is about; ``sync_interval`` in seconds, 0 for never."""

    scope: Rule = Rule.ALL
    sync_interval: Annotated[float, Field(ge=0, le=30 * 86_400)] = 3600
