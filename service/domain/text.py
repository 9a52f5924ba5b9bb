"""The text of a message: one GSM-7 segment with the app's name and the code.

Sources: 3GPP TS 23.038 (alphabet); WICG sms-one-time-codes (last line ``@host #code``); Android SMS
Retriever (at most 140 bytes, 11-character app hash at the end). By the WICG parser what follows
the code on the last line is ignored, so one line serves both.
"""

import re
from dataclasses import dataclass

from service.domain.code import Code

# Telnyx's own table lacks a few characters of the standard's (Greek capitals among them), so
# this is the part that both agree on.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà_"
)
_EXTENDED = frozenset("^{}\\[]~|€")
SEGMENT_SEPTETS = 160
RETRIEVER_BYTES = 140
_HOST = re.compile(
    r"(?=.{1,100}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
    re.ASCII,
)
_APP_HASH = re.compile(r"[A-Za-z0-9+/]{11}", re.ASCII)


class TextError(ValueError):
    """The text cannot be sent as one segment, or an autofill part is malformed."""


def septets(text: str) -> int | None:
    """Length in GSM-7 septets; ``None`` if a character is outside the alphabet."""
    total = 0
    for character in text:
        if character in _BASIC:
            total += 1
        elif character in _EXTENDED:
            total += 2
        else:
            return None
    return total


def web_host(origin: str) -> str:
    """The host of a web origin for the WebOTP line; ``https://host`` and ``host`` are both read.

    Raises:
        TextError: it is no plain https host.
    """
    host = origin.removeprefix("https://").lower()
    if not _HOST.fullmatch(host):
        raise TextError("must be an https origin or host name such as https://login.example.com")
    return host


def check_app_hash(app_hash: str) -> str:
    """The 11-character hash of an Android app. Raises TextError if it is not one."""
    if not _APP_HASH.fullmatch(app_hash):
        raise TextError("must be the 11 characters that the SMS Retriever API gives for the app")
    return app_hash


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a code approves. PSD2 RTS art. 5 asks that the payer sees amount and payee."""

    payee: str
    amount: str
    currency: str


def compose(
    code: Code,
    app_name: str,
    *,
    host: str | None = None,
    app_hash: str | None = None,
    transaction: Transaction | None = None,
    stop_text: str | None = None,
) -> str:
    """The message, checked to be one GSM-7 segment. ``stop_text``: how to stop the messages of a sender
    that nobody can reply to; it stands before the last line, which fills itself in.

    Raises:
        TextError: it does not fit; the message names lengths, never the code.
    """
    digits = code.reveal()
    last_line = " ".join(filter(None, [f"@{host} #{digits}" if host else None, app_hash]))
    if transaction is None:
        text = f"{digits} is your {app_name} code. Do not share it."
    else:
        to_pay = f"{transaction.amount} {transaction.currency} to {transaction.payee}"
        text = f"{digits} is your {app_name} code to pay {to_pay}. Do not share it."
    text = with_stop_text(text, stop_text)
    if last_line:
        text = in_one_segment(f"{text}\n{last_line}")
    if app_hash and len(text.encode()) > RETRIEVER_BYTES:
        raise TextError(f"is longer than the {RETRIEVER_BYTES} bytes that SMS Retriever reads")
    return text


def with_stop_text(text: str, stop_text: str | None) -> str:
    """The text and, behind it, how to stop. Raises TextError if both are no single segment."""
    return in_one_segment(f"{text} {stop_text}" if stop_text else text)


def in_one_segment(text: str) -> str:
    """The text itself. Raises TextError if it is no single GSM-7 segment."""
    length = septets(text)
    if length is None:
        raise TextError("has a character outside the GSM-7 alphabet")
    if length > SEGMENT_SEPTETS:
        raise TextError(f"is {length} characters long; one segment holds {SEGMENT_SEPTETS}")
    return text
