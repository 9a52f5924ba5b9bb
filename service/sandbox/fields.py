"""A request's body, read as strictly as Telnyx's schemas are."""

import json
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from service.sandbox.errors import TelnyxError

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
SHORT_CODE = re.compile(r"[0-9]{5,8}", re.ASCII)
ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)


class Fields:
    """The members of a JSON object. Each reader gives the value, or ``None`` where it is absent or null,
    or refuses it with a pointer to it.

    ``wrong`` is the status of a bad value: 400, or 422 where the operation declares no 400.
    """

    def __init__(self, members: dict[str, Any], *, at: str = "", wrong: int = 400) -> None:
        self._members = members
        self._at = at
        self._wrong = wrong

    def value(self, name: str) -> Any:
        return self._members.get(name)

    def missing(self, name: str, why: str = "") -> TelnyxError:
        detail = f"The '{name}' parameter is required{why}."
        return TelnyxError("10004", detail, f"{self._at}/{name}")

    def invalid(self, name: str, form: str) -> TelnyxError:
        return TelnyxError(
            "10003", f"'{name}' must be {form}.", f"{self._at}/{name}", status=self._wrong
        )

    def refusal(self, code: str, detail: str, name: str) -> TelnyxError:
        return TelnyxError(code, detail, f"{self._at}/{name}")

    def string(self, name: str, *, lines: bool = False) -> str | None:
        """Printable text; ``lines`` allows any characters that Unicode has."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str) or not (lines or value.isprintable()):
            raise self.invalid(name, "a string")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self.invalid(name, "Unicode text") from None
        return value

    def required(self, name: str) -> str:
        if not (value := self.string(name)):
            raise self.missing(name)
        return value

    def boolean(self, name: str) -> bool | None:
        value = self.value(name)
        if value is not None and not isinstance(value, bool):
            raise self.invalid(name, "a boolean")
        return value

    def choice(self, name: str, options: Collection[str]) -> str | None:
        value = self.value(name)
        if value is not None and not (isinstance(value, str) and value in options):
            raise self.invalid(name, f"one of {', '.join(options)}")
        return value

    def strings(self, name: str) -> tuple[str, ...] | None:
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.invalid(name, "an array of strings")
        numbered = {str(index): one for index, one in enumerate(value)}
        items = Fields(numbered, at=f"{self._at}/{name}", wrong=self._wrong)
        found: list[str] = []
        for index in numbered:
            if (text := items.string(index)) is None:
                raise items.invalid(index, "a string")
            found.append(text)
        return tuple(found)

    def object(self, name: str) -> "Fields | None":
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.invalid(name, "an object")
        return Fields(value, at=f"{self._at}/{name}", wrong=self._wrong)

    def objects(self, name: str) -> "list[Fields]":
        value = self.value(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.invalid(name, "an array of objects")
        return [
            Fields(one, at=f"{self._at}/{name}/{index}", wrong=self._wrong)
            for index, one in enumerate(value)
        ]

    def url(self, name: str) -> str | None:
        url = self.string(name)
        if url and not _is_url(url):
            raise self.invalid(name, "a URL")
        return url or None

    def uuid(self, name: str) -> str | None:
        text = self.string(name)
        try:
            return None if text is None else str(UUID(text))
        except ValueError:
            raise self.invalid(name, "a UUID") from None

    def time(self, name: str) -> datetime | None:
        text = self.string(name)
        try:
            return None if text is None else read_time(text)
        except ValueError:
            raise self.invalid(name, "an ISO 8601 time") from None


def read_fields(body: bytes, *, content_type: str = "", wrong: int = 400) -> Fields:
    """Raises:
    TelnyxError: the body is not a JSON object, or says that it is something else.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("", "application/json"):
        raise TelnyxError("10015", "The content type must be application/json.", status=415)
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        raise TelnyxError("10015", "The request body is not valid JSON.") from None
    if not isinstance(members, dict):
        raise TelnyxError("10015", "The request body must be a JSON object.")
    return Fields(members, wrong=wrong)


def read_time(text: str) -> datetime:
    """An ISO 8601 date and time; without an offset it is in UTC.

    Raises:
        ValueError: it is none.
    """
    found = datetime.fromisoformat(text)
    if len(text) <= len("2026-01-01"):
        raise ValueError("a date has no time")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # An IPv6 address without its bracket, a port beyond 65535.
        return False
