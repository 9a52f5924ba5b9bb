"""What a message has beside its sentence: how to stop, and the last line, which fills itself in.

Sources: WICG sms-one-time-codes (last line ``@host #code``); Android SMS Retriever (at most 140 bytes,
11-character app hash at the end). By the WICG parser what follows the code on the last line is
ignored, so one line serves both.
"""

import re

from service.domain.segments import measure, room

RETRIEVER_BYTES = 140
_HOST = re.compile(
    r"(?=.{1,100}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
    re.ASCII,
)
_APP_HASH = re.compile(r"[A-Za-z0-9+/]{11}", re.ASCII)


class TextError(ValueError):
    """The text does not fit, or an autofill part is malformed."""


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


def complete(
    sentence: str,
    code: str,
    *,
    host: str | None = None,
    app_hash: str | None = None,
    stop_text: str | None = None,
    most: int = 1,
) -> str:
    """The message of a sentence. ``stop_text``: how to stop the messages of a sender that nobody can reply
    to; it stands before the last line. ``most``: segments.

    Raises:
        TextError: it does not fit; the message names lengths, never the code.
    """
    text = in_segments(
        joined(sentence, code, host=host, app_hash=app_hash, stop_text=stop_text), most
    )
    if app_hash and len(text.encode()) > RETRIEVER_BYTES:
        raise TextError(f"is longer than the {RETRIEVER_BYTES} bytes that SMS Retriever reads")
    return text


def joined(
    sentence: str,
    code: str,
    *,
    host: str | None = None,
    app_hash: str | None = None,
    stop_text: str | None = None,
) -> str:
    """A sentence with all that stands behind it, whether it fits or not."""
    text = f"{sentence} {stop_text}" if stop_text else sentence
    line = " ".join(filter(None, [f"@{host} #{code}" if host else None, app_hash]))
    return f"{text}\n{line}" if line else text


def in_segments(text: str, most: int) -> str:
    """The text itself. Raises TextError if it takes more segments."""
    size = measure(text)
    if size.segments > most:
        allowed = "one segment holds" if most == 1 else f"{most} segments hold"
        raise TextError(
            f"is {size.units} {size.encoding} characters long; {allowed} {room(size.encoding, most)}"
        )
    return text
