"""Which words a code is sent in: templates by purpose and locale, and the longest one that fits.

Rules for editors of this file:

* A template stands in a table of an app, of the configuration or of the catalogue under ``locale`` or
  ``locale@variant``; ``short`` has no "don't share", ``payment`` says payee and amount.
* What a start itself brings (web origin, app hash, transaction, the way to stop) is never left out: a
  shorter wording is taken, then English, and if that is too long nothing is sent at all.
* Digits stay ASCII: platforms look for them, and every phone can type them.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from service.domain.code import MAX_LENGTH, Code, Grouping, group
from service.domain.locales import TAG, Languages
from service.domain.segments import measure
from service.domain.text import TextError, complete, joined
from service.domain.transaction import Transaction

Templates = Mapping[str, Mapping[str, str]]
"""By purpose, or ``*`` for all; then by locale and variant."""
ANY_PURPOSE = "*"
LAST_RESORT = "en"
VARIANTS = ("", "short", "payment", "payment-short")
SAMPLE = Transaction("Example Shop Ltd", "1234.56", "EUR")
"""What the payment templates are checked with: a real one may be longer, and is then said in fewer words."""
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_RIGHT_TO_LEFT = ("R", "AL", "AN")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_OF_CODE = frozenset({"code", "app"})
_OF_PAYMENT = _OF_CODE | {"payee", "amount", "currency"}
_PURPOSE = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)
_LONGEST = Code("0" * MAX_LENGTH)
# Where a code is to stand in a frame: for people, and on the last line. No text has control characters.
_SHOWN, _PLAIN = "\0", "\1"
_MOST_KEPT = 512


@dataclass(frozen=True, slots=True)
class Wording:
    """A message but for its code, whose wording it has (``locale`` and ``variant``), and how many segments
    it takes with any code of the length and kind that it was chosen for."""

    frame: str
    grouping: Grouping
    is_rtl: bool
    segments: int
    locale: str
    variant: str

    def say(self, code: Code) -> str:
        """The message."""
        shown = _isolated(group(code.reveal(), self.grouping), among_rtl=self.is_rtl)
        return self.frame.replace(_SHOWN, shown).replace(_PLAIN, code.reveal())


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """All wordings of an app. ``own``: tables of templates, the nearest first; ``catalogue``: the table that
    is shipped."""

    app_name: str
    catalogue: Mapping[str, str]
    languages: Languages = field(default_factory=Languages)
    own: tuple[Templates, ...] = ()
    max_segments: int = 1
    grouping: Grouping = Grouping.NONE
    _kept: dict[tuple[object, ...], Wording] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of_app(self, app_name: str, templates: Templates) -> "Texts":
        """The same for an app with a name and templates of its own."""
        return replace(self, app_name=app_name, own=(templates, *self.own))

    def wording(
        self,
        code: Code,
        *,
        purpose: str,
        country: str,
        locale: str | None = None,
        host: str | None = None,
        app_hash: str | None = None,
        transaction: Transaction | None = None,
        stop_text: str | None = None,
    ) -> Wording:
        """The wording for codes like this one, in the locale's language, else the country's, else English.

        Raises:
            TextError: nothing fits; the message is about the shortest wording, and never tells the code.
        """
        like, behind = code.reveal(), (host, app_hash, stop_text)
        key = (len(like), like.isdecimal(), purpose, country, locale, behind)
        found = self._kept.get(key) if transaction is None else None
        if found is None:
            wordings = self._wordings(purpose, country, locale, is_payment=transaction is not None)
            found = self._first_that_fits(wordings, code, transaction, behind)
            if transaction is None:  # What nobody else asks for is not worth its place.
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[key] = found
        return found

    def _first_that_fits(
        self,
        wordings: Iterator[tuple[str, str, str]],
        code: Code,
        transaction: Transaction | None,
        behind: tuple[str | None, str | None, str | None],
    ) -> Wording:
        reason = TextError("has no wording")
        host, app_hash, stop_text = behind
        for tag, variant, template in wordings:
            sentence = self.sentence(template, code, transaction)
            try:
                text = complete(
                    sentence,
                    code.reveal(),
                    host=host,
                    app_hash=app_hash,
                    stop_text=stop_text,
                    most=self.max_segments,
                )
            except TextError as error:
                reason = error
            else:
                open_ = self._filled(template, _SHOWN, transaction)
                frame = joined(open_, _PLAIN, host=host, app_hash=app_hash, stop_text=stop_text)
                return Wording(
                    frame,
                    self.grouping,
                    _is_right_to_left(template),
                    measure(text).segments,
                    tag,
                    variant,
                )
        raise reason

    def locales(self) -> list[str]:
        """Every locale that has a wording."""
        tables = [self.catalogue, *(of for table in self.own for of in table.values())]
        return sorted({key.partition("@")[0] for table in tables for key in table})

    def _wordings(
        self, purpose: str, country: str, locale: str | None, *, is_payment: bool
    ) -> Iterator[tuple[str, str, str]]:
        """Locale, variant and template, in the order in which they are tried."""
        asked = [] if locale is None else [locale]
        for tag in (*asked, *self.languages.of(country)):
            if found := self._of(tag, purpose, is_payment=is_payment):
                yield from found
                break
        yield from self._of(LAST_RESORT, purpose, is_payment=is_payment)

    def _of(self, asked: str, purpose: str, *, is_payment: bool) -> list[tuple[str, str, str]]:
        tables = [of for own in self.own for of in (own.get(purpose), own.get(ANY_PURPOSE)) if of]
        variants = VARIANTS[2:] if is_payment else VARIANTS[:2]
        return [
            (tag, variant, table[key])
            for tag in self.languages.climb(asked)
            for table in (*tables, self.catalogue)
            for variant in variants
            if (key := f"{tag}@{variant}" if variant else tag) in table
        ]

    def sentence(self, template: str, code: Code, transaction: Transaction | None = None) -> str:
        """A template filled in."""
        shown = group(code.reveal(), self.grouping)
        among_rtl = _is_right_to_left(template)
        return self._filled(template, _isolated(shown, among_rtl=among_rtl), transaction)

    def _filled(self, template: str, code: str, transaction: Transaction | None) -> str:
        values = {"app": self.app_name}
        if transaction is not None:
            values |= {
                "payee": transaction.payee,
                "amount": transaction.amount,
                "currency": transaction.currency,
            }
        is_rtl = _is_right_to_left(template)
        filled = {name: _isolated(value, among_rtl=is_rtl) for name, value in values.items()}
        filled["code"] = code
        return _PLACEHOLDER.sub(lambda m: filled[m[1]], template)


def check_templates(
    templates: Templates, texts: Texts, stop_texts: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with an app's (or the configuration's) templates: every fault, each beginning with
    purpose and locale. ``texts``: all else that the app has, its name above all. ``stop_texts``: by sender,
    what has to stand in the text too."""
    faults = []
    for purpose, table in templates.items():
        if purpose != ANY_PURPOSE and not _PURPOSE.fullmatch(purpose):
            faults.append(f"{purpose}: is no purpose; it may have a-z, 0-9, - and _, or be *")
        for key, template in table.items():
            locale, at, variant = key.partition("@")
            found = [
                *_key_faults(locale, variant if at else None, texts.languages),
                *_form_faults(template, is_payment=variant.startswith("payment")),
            ]
            found = found or _misfits(template, variant, texts, stop_texts or {})
            faults += [f"{purpose}.{key}: {fault}" for fault in found]
    return faults


def check_name(name: str) -> list[str]:
    """What is wrong with an app's name."""
    if any(_is_control(character) for character in name):
        return ["has a control character"]
    if "{" in name or "}" in name or name.startswith("@") or name != name.strip():
        return ["has a brace, begins with @, or has a blank at an end"]
    return []


def check_stop_texts(texts: Texts, stop_texts: Mapping[str, str]) -> list[str]:
    """Senders whose stop_text leaves no room for any wording, each with its name first."""
    faults = []
    for sender, stop_text in stop_texts.items():
        try:
            texts.wording(_LONGEST, purpose=ANY_PURPOSE, country="", stop_text=stop_text)
        except TextError as error:
            faults.append(f"{sender}.stop_text: the shortest text with it {error}")
    return faults


def _key_faults(locale: str, variant: str | None, languages: Languages) -> list[str]:
    if not TAG.fullmatch(locale) or variant not in (None, *VARIANTS[1:]):
        named = ", ".join(f"{LAST_RESORT}@{one}" for one in VARIANTS[1:])
        return [f"is no locale such as de or pt-BR, nor one with a variant ({named})"]
    looked_up = next(languages.climb(locale))
    return [] if locale == looked_up else [f"is never found: write {looked_up}"]


def _form_faults(template: str, *, is_payment: bool) -> list[str]:
    faults = []
    if any(_is_control(character) for character in template):
        faults.append("has a control character; lines and directions are seen to by themselves")
    if template != template.strip() or template.startswith("@"):
        faults.append("begins with @, or has a blank at an end")
    if set(_PLACEHOLDER.sub("", template)) & {"{", "}"}:
        faults.append("has a brace that belongs to no placeholder")
    found = _PLACEHOLDER.findall(template)
    wanted = _OF_PAYMENT if is_payment else _OF_CODE
    if missing := sorted(wanted - set(found)):
        faults.append(f"lacks {_listed(missing)}")
    if unknown := sorted(set(found) - wanted):
        faults.append(f"has a placeholder that is not known here: {_listed(unknown)}")
    if found.count("code") > 1:
        faults.append("has {code} more than once")
    return faults


def _misfits(template: str, variant: str, texts: Texts, stop_texts: Mapping[str, str]) -> list[str]:
    faults = []
    transaction = SAMPLE if variant.startswith("payment") else None
    sentence = texts.sentence(template, _LONGEST, transaction)
    for sender, stop_text in {"": "", **stop_texts}.items():
        try:
            complete(sentence, "", stop_text=stop_text or None, most=texts.max_segments)
        except TextError as error:
            faults.append(f"with the stop_text of {sender} it {error}" if sender else str(error))
    return faults


def _listed(names: list[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _isolated(value: str, *, among_rtl: bool) -> str:
    """A value that keeps its own direction, and changes that of nothing around it (Unicode UAX 9). A number
    needs nothing: it is never split, and platforms look for it as it is."""
    needs = not _NUMBER.fullmatch(value) if among_rtl else _has_right_to_left(value)
    return f"{_FIRST_STRONG_ISOLATE}{value}{_POP_ISOLATE}" if needs else value


def _is_right_to_left(template: str) -> bool:
    """Whether a phone lays the paragraph out from right to left: by its first letter."""
    for character in _PLACEHOLDER.sub("", template):
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def _has_right_to_left(value: str) -> bool:
    return not value.isascii() and any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in value
    )


def _is_control(character: str) -> bool:
    return character in _BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Zl", "Zp")
