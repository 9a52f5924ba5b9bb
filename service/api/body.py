"""Request bodies read into models, and models written as answers; every fault is named by its pointer."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from litestar import Request
from litestar.types import Receive, Scope, Send
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.domain.errors import FieldError, InvalidRequestError

READ_TIMEOUT = 10.0
"""Seconds in which a body must have come: no server in front of us limits a slow one."""

M = TypeVar("M", bound=BaseModel)


Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A time as it is answered: RFC 3339, UTC."""


class RequestModel(BaseModel):
    """A request body: strict types, no unknown members."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


async def read_raw(request: Request[Any, Any, Any]) -> bytes:
    """The raw body. Raises InvalidRequestError if it does not come in time."""
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            return await request.body()
    except TimeoutError:
        raise InvalidRequestError.at(
            "", f"the body must come within {READ_TIMEOUT:.0f} s"
        ) from None


async def read_body(request: Request[Any, Any, Any], model: type[M]) -> M:
    """Read and check a JSON body.

    Raises:
        InvalidRequestError: with a pointer to each fault; values are never repeated.
    """
    try:
        return model.model_validate_json(await read_raw(request))
    except ValidationError as error:
        raise InvalidRequestError(faults_of(error)) from None


def faults_of(error: ValidationError) -> list[FieldError]:
    """What a model found wrong, each at its JSON pointer; values are never repeated."""
    return [_field_error(fault) for fault in _faults(error)]


class Answer:
    """JSON, as an ASGI application of its own: it is what it is, and the framework's
    response, with cookies, encodings and background work, would take as long as a round trip to Redis."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.body = body
        self.status = status
        self.headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            *((name.encode(), value.encode()) for name, value in self.headers.items()),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A model as an answer that no cache keeps."""
    return Answer(
        model.model_dump_json().encode(), status, {"cache-control": "no-store", **(headers or {})}
    )


def _faults(error: ValidationError) -> list[Any]:
    return error.errors(include_input=False, include_url=False, include_context=False)


def _field_error(fault: Any) -> FieldError:
    # An unknown member's name is the caller's own text: it may be a number put in the wrong place.
    unknown = fault["type"] == "extra_forbidden"
    bad_name = fault["loc"][-1:] == ("[key]",)
    loc = fault["loc"][:-1] if unknown else fault["loc"][:-2] if bad_name else fault["loc"]
    pointer = "".join("/" + _escape(str(part)) for part in loc)
    if unknown:
        return FieldError(pointer, "has a member that is not known here; see /docs")
    if fault["type"] == "json_invalid":
        return FieldError("", "must be JSON (RFC 8259) in UTF-8")
    if bad_name:
        return FieldError(pointer, f"has a name that is not allowed: {fault['msg']}")
    return FieldError(pointer, fault["msg"].removeprefix("Value error, "))


def _escape(part: str) -> str:
    """RFC 6901 section 3."""
    return part.replace("~", "~0").replace("/", "~1")
