"""``/v1/audit/events``: the trail, as pages or as one stream."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.response import Stream
from litestar.types import ASGIApp
from pydantic import BaseModel, ConfigDict

from service.api.auth import caller
from service.api.body import Answer, Instant, answer
from service.api.parts import Parts
from service.domain.audit import EventType
from service.domain.chain import audit_public_keys
from service.domain.errors import InvalidRequestError
from service.domain.recipient import InvalidNumberError, parse_recipient
from service.store import keys
from service.store.api_keys import ApiKey, Scope
from service.store.trail import START, Position, read_position

NDJSON = "application/x-ndjson"
_PAGE, _MOST = 100, 1000
_CHECKPOINTS = 60
_MOST_EXAMINED = 20_000
_QUERY = ("events_cursor", "limit", "type", "verification", "recipient")


class EventAnswer(BaseModel):
    """One event: its own members, and the fields of the Elastic Common Schema. ``sealed``: whether it stands
    in the hash chain yet."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str
    at: Instant
    sealed: bool


class CheckpointAnswer(BaseModel):
    """The heads of all chains, signed: by partition how many events, the last one's id, its link. The
    signature (Ed25519, Base64) is over `cs audit check 1` and the other members, without those of the last
    two that are empty, as compact JSON with sorted names. ``vouched``: public keys that sign, or
    signed, checkpoints too. ``losses``: checkpoints before ``[number, ...]`` know more of
    ``[..., partition, events left]`` than there is; an operator had that signed."""

    number: int
    at: int
    previous: str
    key: str
    heads: dict[str, tuple[int, str, str]]
    signature: str
    vouched: list[str] = []
    losses: list[tuple[int, int, int]] = []


class CheckpointsAnswer(BaseModel):
    """Oldest first. ``public_keys``: by the id of the master key, hexadecimal."""

    checkpoints: list[CheckpointAnswer]
    public_keys: dict[str, str]


class EventsAnswer(BaseModel):
    """A page, oldest first; ``next_cursor`` is null at the trail's present end. A filter may leave a page
    short, or empty, and the next one not."""

    events: list[EventAnswer]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What to look through, and which events of it."""

    partitions: Sequence[int]
    matches: Callable[[dict[str, Any]], bool]


_NOTHING = _Wanted((), lambda _: False)


class Audit(Controller):
    """A key sees its own app's events; with the scope ``admin`` beside ``audit`` it sees all."""

    path = "/v1/audit"
    tags = ["audit"]
    opt = {"scope": Scope.AUDIT}

    @get(
        "/events",
        operation_id="listAuditEvents",
        summary="The audit trail: a page, or with Accept: application/x-ndjson all of it",
        opt={
            "answer": EventsAnswer,
            "query": _QUERY,
            "ndjson": True,
            "problems": ("invalid-request",),
        },
    )
    async def events(
        self, request: Request[Any, Any, Any], parts: NamedDependency[Parts]
    ) -> ASGIApp:
        query = request.query_params
        wanted = await _wanted(parts, caller(request), query)
        after, most = _position(query.get("cursor")), _limit(query.get("limit"))
        if NDJSON in request.headers.get("accept", ""):
            lines = _lines(parts, after, wanted)
            stream = Stream(lines, media_type=NDJSON, headers={"cache-control": "no-store"})
            return stream.to_asgi_response(None, request)
        return await _page(parts, after, most, wanted)

    @get(
        "/checkpoints",
        operation_id="listAuditCheckpoints",
        summary="The newest signed heads of the audit trail's chains",
        opt={"answer": CheckpointsAnswer},
    )
    async def checkpoints(self, parts: NamedDependency[Parts]) -> Answer:
        found = await parts.chain.checkpoints(_CHECKPOINTS)
        return answer(
            CheckpointsAnswer(
                checkpoints=[CheckpointAnswer(**one.to_members()) for one in found],
                public_keys=audit_public_keys(parts.keyring),
            )
        )


async def _page(parts: Parts, after: Position, most: int, wanted: _Wanted) -> Answer:
    until, examined, last = await parts.trail.now(), 0, after
    found: list[EventAnswer] = []
    chunk = max(2 * most // max(len(wanted.partitions), 1), 8)
    async for entry in parts.trail.read(after, until, wanted.partitions, chunk):
        if len(found) == most or examined == _MOST_EXAMINED:
            return answer(EventsAnswer(events=found, next_cursor=str(last)))
        examined, last = examined + 1, entry.position
        line = entry.to_line()
        if wanted.matches(line):
            found.append(EventAnswer(**line))
    return answer(EventsAnswer(events=found, next_cursor=None))


async def _lines(parts: Parts, after: Position, wanted: _Wanted) -> AsyncIterator[bytes]:
    async for entry in parts.trail.read(after, await parts.trail.now(), wanted.partitions):
        line = entry.to_line()
        if wanted.matches(line):
            yield json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


async def _wanted(parts: Parts, key: ApiKey, query: Mapping[str, str]) -> _Wanted:
    equal: dict[str, str] = {}
    partitions: Sequence[int] = range(keys.PARTITIONS)
    if Scope.ADMIN not in key.scopes:
        equal["app"] = key.app
    if (type_ := query.get("type")) is not None:
        if type_ not in set(EventType):
            raise InvalidRequestError.at("type", "is no type of event, such as delivery.accepted")
        equal["type"] = type_
    if (recipient := query.get("recipient")) is not None:
        pseudonym = await _pseudonym(parts, recipient)
        if pseudonym is None:
            return _NOTHING
        equal["recipient"] = pseudonym
        partitions = [keys.partition_of(pseudonym)]
    if (verification := query.get("verification")) is not None:
        if not keys.is_id(verification):
            raise InvalidRequestError.at("verification", "is no id of a verification")
        equal["verification"] = verification
        partitions = [keys.partition_of_id(verification)]
    return _Wanted(partitions, lambda line: equal.items() <= line.items())


async def _pseudonym(parts: Parts, recipient: str) -> str | None:
    if keys.is_digest(recipient):
        return recipient
    try:
        # A plus sign that was not encoded arrives as a blank.
        number = parse_recipient(recipient.replace(" ", "+")).e164
    except InvalidNumberError as error:
        raise InvalidRequestError.at(
            "recipient", f"{error}, or the recipient of an event"
        ) from None
    return await parts.people.pseudonym(parts.keyring.lookup_id(number))


def _position(cursor: str | None) -> Position:
    if cursor is None:
        return START
    position = read_position(cursor)
    if position is None:
        raise InvalidRequestError.at("cursor", "must be the next_cursor of an earlier page")
    return position


def _limit(limit: str | None) -> int:
    if limit is None:
        return _PAGE
    if not (limit.isascii() and limit.isdigit()) or not 0 < int(limit[:6]) <= _MOST:
        raise InvalidRequestError.at("limit", f"must be a number from 1 to {_MOST}")
    return int(limit)
