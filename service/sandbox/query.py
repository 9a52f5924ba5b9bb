"""A request's query, and the pages that lists are answered in."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from litestar import Response

from service.sandbox.errors import TelnyxError
from service.sandbox.fields import read_time

T = TypeVar("T")
_MOST = 250
# An unescaped + of a time's offset has become a blank.
_LOST_PLUS = re.compile(r" ([0-9]{2}:?[0-9]{2})$")


@dataclass(frozen=True, slots=True)
class Page:
    """``number`` counts from 1."""

    number: int = 1
    size: int = 20


class Query:
    """Parameters by their full name, as ``page[size]``; ``wrong`` is the status of a bad value."""

    def __init__(self, parameters: Mapping[str, str], *, wrong: int = 400) -> None:
        self._parameters = parameters
        self._wrong = wrong

    def text(self, name: str) -> str | None:
        return self._parameters.get(name)

    def choice(self, name: str, options: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in options:
            raise self._invalid(name, f"one of {', '.join(options)}")
        return value

    def uuid(self, name: str) -> str | None:
        value = self.text(name)
        try:
            return None if value is None else str(UUID(value))
        except ValueError:
            raise self._invalid(name, "a UUID") from None

    def time(self, name: str) -> datetime | None:
        value = self.text(name)
        try:
            return None if value is None else read_time(_LOST_PLUS.sub(r"+\1", value))
        except ValueError:
            raise self._invalid(name, "an ISO 8601 time") from None

    def between(self, name: str) -> "Callable[[str], bool]":
        """Whether a time lies within ``name[gte]`` and ``name[lte]``."""
        first, last = self.time(f"{name}[gte]"), self.time(f"{name}[lte]")
        if first is None and last is None:
            return lambda _: True

        def within(text: str) -> bool:
            at = read_time(text)
            return (first is None or at >= first) and (last is None or at <= last)

        return within

    def page(self) -> Page:
        return Page(self._integer("page[number]", 1, None), self._integer("page[size]", 20, _MOST))

    def _integer(self, name: str, default: int, most: int | None) -> int:
        value = self.text(name)
        if value is None:
            return default
        form = "an integer from 1" + (f" to {most}" if most else "")
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise self._invalid(name, form)
        if int(value) < 1 or (most is not None and int(value) > most):
            raise self._invalid(name, form)
        return int(value)

    def _invalid(self, name: str, form: str) -> TelnyxError:
        detail = f"'{name}' must be {form}."
        return TelnyxError("10003", detail, parameter=name, status=self._wrong)


def paged(items: Collection[T], page: Page, form: Callable[[T], dict[str, Any]]) -> Response[bytes]:
    """``data[]`` and ``meta``; a page beyond the last is empty."""
    start = (page.number - 1) * page.size
    meta = {
        "page_number": page.number,
        "page_size": page.size,
        "total_pages": -(-len(items) // page.size),
        "total_results": len(items),
    }
    return answer([form(item) for item in islice(items, start, start + page.size)], meta=meta)


def answer(
    data: object, *, meta: dict[str, int] | None = None, status: int = 200
) -> Response[bytes]:
    """``{"data": ...}``, with its ``meta`` if there is one."""
    body = {"data": data} if meta is None else {"data": data, "meta": meta}
    return Response(json.dumps(body).encode(), media_type="application/json", status_code=status)
