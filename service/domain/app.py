"""An app: whose login flows they are, and what it has of its own.

An app needs no creation: any slug that an API key names is one, with the configuration as its own. A
definition overrides what it names and nothing else; so what is open here (``None``, or empty) is the
configuration's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from service.domain.callback import CallbackRules, CallbackUrlError
from service.domain.code import MAX_LENGTH, MIN_BITS, Alphabet, Code
from service.domain.errors import FieldError
from service.domain.guard import Limit, Limits, parse_limit
from service.domain.keyring import Keyring, KeyringError
from service.domain.notice import NoticeTextError, complete_notice, compose_notice
from service.domain.plan import Route, Sender
from service.domain.text import TextError
from service.domain.texts import ANY_PURPOSE, Templates, Texts, check_name, check_templates

DEFAULT_APP = "default"
APP_PATTERN = r"^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$"
_APP = re.compile(APP_PATTERN, re.ASCII)
MAX_NAME = 40
MOST_TEST_NUMBERS = 100
_KEYS = "keys"
_LONGEST = Code("0" * MAX_LENGTH)


def is_app(text: str) -> bool:
    """Whether the text can be an app's slug."""
    return _APP.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class FixedCode:
    """What is kept of a test number beside its look-up id: its mask, and its code, sealed."""

    masked: str
    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """``name``: as texts say it. ``senders``: those that it may use. ``limits``: windows by the name of the
    limit; ``keys``: of its limit keys. ``ttl`` in milliseconds. ``texts``: templates by purpose and locale.
    ``test_numbers``: by look-up id."""

    id: str
    name: str | None = None
    routes: tuple[Route, ...] = ()
    senders: frozenset[str] | None = None
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    keys: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    callback_url: str | None = None
    code_length: int | None = None
    ttl: int | None = None
    texts: Templates = field(default_factory=dict)
    test_numbers: Mapping[str, FixedCode] = field(default_factory=dict)

    @property
    def chooses_senders(self) -> bool:
        """Whether its plans are its own: what becomes of them says nothing of others'."""
        return bool(self.routes) or self.senders is not None

    def limits_over(self, base: Limits) -> Limits:
        """The limits of its starts. What it names is counted for it alone: neither does it use up what
        others share, nor they its own."""
        if not self.limits and not self.keys:
            return base
        keys = {**base.keys, **self.keys}
        own = base.own | self.limits.keys()
        return replace(base, **dict(self.limits), keys=keys, own=own)

    def texts_over(self, base: Texts) -> Texts:
        """The wordings of its codes' messages."""
        if self.name is None and not self.texts:
            return base
        return base.of_app(self.name or base.app_name, self.texts)

    def senders_among(self, configured: Mapping[str, Sender]) -> Mapping[str, Sender]:
        """Those of the configured senders that it may use."""
        if self.senders is None:
            return configured
        return {name: sender for name, sender in configured.items() if name in self.senders}


def read_app(id_: str, definition: Mapping[str, Any], test_numbers: Mapping[str, FixedCode]) -> App:
    """An app from its definition, JSON that ``service.api.apps`` has checked."""
    limits = {
        name: tuple(map(parse_limit, windows))
        for name, windows in definition.get("limits", {}).items()
        if name != _KEYS
    }
    keys = {
        name: tuple(map(parse_limit, windows))
        for name, windows in definition.get("limits", {}).get(_KEYS, {}).items()
    }
    senders, ttl = definition.get("senders"), definition.get("ttl")
    return App(
        id=id_,
        name=definition.get("name"),
        routes=tuple(
            Route(frozenset(route["countries"]), tuple(route["plan"]))
            for route in definition.get("routes", ())
        ),
        senders=None if senders is None else frozenset(senders),
        limits=limits,
        keys=keys,
        callback_url=definition.get("callback_url"),
        code_length=definition.get("code_length"),
        ttl=None if ttl is None else ttl * 1000,
        texts=definition.get("texts", {}),
        test_numbers=test_numbers,
    )


def seal_code(code: Code, app: str, recipient_id: str, keyring: Keyring) -> str:
    """A test number's code as it is kept. It is good for this app and number alone: who can write to the
    store cannot give it to another number."""
    return keyring.seal_for_good(f"{app}|{recipient_id}|{code.reveal()}")


def open_code(kept: FixedCode, app: str, recipient_id: str, keyring: Keyring) -> Code | None:
    """The code; ``None`` for what was not sealed here, or for another number: that is no test number."""
    try:
        opened = keyring.unseal_for_good(kept.sealed)
    except KeyringError:
        return None
    found = opened.removeprefix(f"{app}|{recipient_id}|")
    return None if found == opened else Code(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The configuration that definitions are laid over. ``notices``: the texts of notices, with ``{app}``.
    ``alphabet``: of every new code."""

    senders: Mapping[str, Sender]
    texts: Texts
    notices: Mapping[str, str]
    callbacks: CallbackRules
    alphabet: Alphabet


def find_faults(app: App, definition: Mapping[str, Any], ground: Ground) -> list[FieldError]:
    """What is wrong with a definition over this configuration, each at its JSON pointer."""
    return [
        *_sender_faults(app, definition, ground.senders),
        *_name_faults(app, ground),
        *_text_faults(app, ground),
        *_length_faults(app.code_length, ground.alphabet),
        *_callback_faults(app.callback_url, ground.callbacks),
    ]


def _sender_faults(
    app: App, definition: Mapping[str, Any], configured: Mapping[str, Sender]
) -> list[FieldError]:
    named = [
        (f"/senders/{i}", name, configured) for i, name in enumerate(definition.get("senders", ()))
    ]
    allowed = app.senders_among(configured)
    named += [
        (f"/routes/{i}/plan/{j}", name, allowed)
        for i, route in enumerate(definition.get("routes", ()))
        for j, name in enumerate(route["plan"])
    ]
    return [
        FieldError(pointer, f"names no {_kind(name, configured)}; there are: {_listed(known)}")
        for pointer, name, known in named
        if name not in known
    ]


def _kind(name: str, configured: Mapping[str, Sender]) -> str:
    return "sender of this app's senders" if name in configured else "configured sender"


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"


def _stop_texts(app: App, ground: Ground) -> dict[str, str]:
    senders = app.senders_among(ground.senders)
    return {name: sender.stop_text for name, sender in senders.items() if sender.stop_text}


def _name_faults(app: App, ground: Ground) -> list[FieldError]:
    """The name must fit wherever the configuration's does: into texts of codes and of notices."""
    if app.name is None:
        return []
    if faults := check_name(app.name):
        return [FieldError("/name", fault) for fault in faults]
    texts = app.texts_over(ground.texts)
    try:
        for stop_text in (None, *_stop_texts(app, ground).values()):
            texts.wording(_LONGEST, purpose=ANY_PURPOSE, country="", stop_text=stop_text)
            for notice in ground.notices.values():
                complete_notice(compose_notice(notice, app.name), stop_text)
    except (TextError, NoticeTextError) as error:
        return [FieldError("/name", f"makes a text that {error}")]
    return []


def _text_faults(app: App, ground: Ground) -> list[FieldError]:
    texts, stop_texts = app.texts_over(ground.texts), _stop_texts(app, ground)
    return [
        FieldError(f"/texts/{purpose}/{key}", fault.removeprefix(f"{purpose}.{key}: "))
        for purpose, table in app.texts.items()
        for key, template in table.items()
        for fault in check_templates({purpose: {key: template}}, texts, stop_texts)
    ]


def _length_faults(length: int | None, alphabet: Alphabet) -> list[FieldError]:
    if length is None or alphabet.allows(length):
        return []
    bits = alphabet.bits(length)
    return [
        FieldError("/code_length", f"makes a code of {bits:.0f} bits; {MIN_BITS} are the least")
    ]


def _callback_faults(url: str | None, rules: CallbackRules) -> Sequence[FieldError]:
    if url is None:
        return ()
    try:
        rules.check(url)
    except CallbackUrlError as error:
        return (FieldError("/callback_url", str(error)),)
    return ()
