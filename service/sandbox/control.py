"""The control calls, no part of Telnyx's API: what was sent, what shall happen, what a phone writes."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service.sandbox.feed import Topic
from service.sandbox.lookup import Line, Type
from service.sandbox.messages import PROFILE, UNASKED_SENDER, Message
from service.sandbox.optouts import MOST_FICTIONAL, OptOut, fictional_numbers
from service.sandbox.outage import Mode
from service.sandbox.phones import Network
from service.sandbox.scenarios import Kind, is_outcome

_Number = Annotated[str, StringConstraints(pattern=r"^\+[0-9]{7,15}$")]
# In a query an unescaped + means a blank: here before a time's offset.
_LOST_PLUS = re.compile(r" ([0-9]{2}:?[0-9]{2})$")
M = TypeVar("M", bound=BaseModel)


class ControlError(Exception):
    """A control call that is wrong; the message says how."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScenarioBody(_Body):
    to: _Number | None = None
    kind: Kind | None = None
    outcome: str


class InboundBody(_Body):
    from_: Annotated[_Number, Field(alias="from")]
    to: Annotated[str, StringConstraints(min_length=1, max_length=16)] | None = None
    text: Annotated[str, StringConstraints(min_length=1, max_length=1600)]


class ClickBody(_Body):
    message: str
    url: str


class ScheduledBody(_Body):
    id: str


class OptOutsBody(_Body):
    """``numbers``, or so many fictional ones."""

    numbers: Annotated[list[_Number], Field(min_length=1)] | None = None
    count: Annotated[int, Field(ge=1, le=MOST_FICTIONAL)] | None = None
    messaging_profile_id: UUID = UUID(PROFILE)
    from_: Annotated[str, Field(alias="from", min_length=1, max_length=16)] = UNASKED_SENDER
    keyword: Annotated[str, StringConstraints(min_length=1, max_length=20)] = "STOP"


class LookupBody(_Body):
    number: _Number
    type: Type = "mobile"
    ported_date: date | None = None


class OutageBody(_Body):
    mode: Mode
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 0


@get("/messages")
async def list_messages(
    network: NamedDependency[Network],
    to: FromQuery[str | None] = None,
    since: FromQuery[str | None] = None,
) -> Response[dict[str, Any]]:
    # In a query an unescaped + means a blank.
    number = "+" + to.strip().lstrip("+") if to else None
    after = _instant(since) if since else None
    found = [m.listed() for m in network.messages.of(number)]
    if after is not None:
        found = [m for m in found if datetime.fromisoformat(m["created_at"]) >= after]
    return Response({"messages": found})


@post("/scenarios", status_code=200)
async def set_scenario(
    request: Request[Any, Any, Any], network: NamedDependency[Network]
) -> Response[dict[str, Any]]:
    body = await _read(request, ScenarioBody)
    if body.to is None and body.kind is None:
        raise ControlError("give 'to', 'kind' or both")
    if not is_outcome(body.outcome):
        raise ControlError(
            "'outcome' must be the four digits of a magic number, such as 0100, or 40020 or 40333"
        )
    network.scenarios.set(body.to, body.kind, body.outcome)
    network.feed.changed(Topic.SCENARIOS)
    return Response(body.model_dump())


@post("/inbound", status_code=202)
async def inbound(
    request: Request[Any, Any, Any], network: NamedDependency[Network]
) -> Response[dict[str, Any]]:
    body = await _read(request, InboundBody)
    reply = network.receive(body.from_, body.to, body.text, _profile_url(network))
    return Response({"id": reply.id}, status_code=202)


@post("/clicks", status_code=202)
async def click(
    request: Request[Any, Any, Any], network: NamedDependency[Network]
) -> Response[dict[str, Any]]:
    body = await _read(request, ClickBody)
    message = _message(network, body.message)
    if body.url not in message.request.text:
        raise ControlError("the message holds no such link")
    network.click(message, body.url, _profile_url(network))
    return Response(body.model_dump(), status_code=202)


@post("/scheduled", status_code=200)
async def send_now(
    request: Request[Any, Any, Any], network: NamedDependency[Network]
) -> Response[dict[str, Any]]:
    """A scheduled message leaves now: tests need not wait for five minutes."""
    body = await _read(request, ScheduledBody)
    message = _message(network, body.id)
    if message.status != "scheduled":
        raise ControlError(f"the message is not scheduled, but {message.status}")
    network.send_now(message)
    return Response(message.listed())


@post("/opt-outs", status_code=200)
async def fill_opt_outs(
    request: Request[Any, Any, Any], network: NamedDependency[Network]
) -> Response[dict[str, Any]]:
    body = await _read(request, OptOutsBody)
    if (body.numbers is None) == (body.count is None):
        raise ControlError("give either 'numbers' or 'count'")
    profile = str(body.messaging_profile_id)
    network.account.know_profile(profile)
    for number in body.numbers or fictional_numbers(body.count or 0):
        network.opt_outs.add(
            OptOut(from_=body.from_, to=number, messaging_profile_id=profile, keyword=body.keyword)
        )
    return Response({"total": len(network.opt_outs.all())})


@post("/lookups", status_code=200)
async def set_lookup(
    request: Request[Any, Any, Any], network: NamedDependency[Network]
) -> Response[dict[str, Any]]:
    body = await _read(request, LookupBody)
    ported = body.ported_date.isoformat() if body.ported_date else None
    network.lookups[body.number] = Line(body.type, ported)
    return Response(body.model_dump(mode="json"))


@post("/outages", status_code=200)
async def set_outage(
    request: Request[Any, Any, Any], network: NamedDependency[Network]
) -> Response[dict[str, Any]]:
    body = await _read(request, OutageBody)
    network.outage.begin(body.mode, body.seconds)
    return Response(body.model_dump())


def to_response(_: object, error: ControlError) -> Response[dict[str, str]]:
    return Response({"error": str(error)}, status_code=422)


def _profile_url(network: Network) -> str:
    if (url := network.config.profile_webhook_url) is None:
        raise ControlError(
            "nobody would hear of it: give the sandbox a profile webhook URL (--webhook-url)"
        )
    return url


def _message(network: Network, id_: str) -> Message:
    if (found := network.messages.get(id_)) is None:
        raise ControlError("no message has this id")
    return found


async def _read(request: Request[Any, Any, Any], model: type[M]) -> M:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        named = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults]
        raise ControlError("; ".join(named)) from None


def _instant(text: str) -> datetime:
    """An RFC 3339 time, cut to the milliseconds in which messages are dated: one that was sent
    right after ``since`` must not seem older."""
    for form in (text, _LOST_PLUS.sub(r"+\1", text)):
        try:
            found = datetime.fromisoformat(form)
        except ValueError:
            continue
        found = found.replace(microsecond=found.microsecond // 1000 * 1000)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise ControlError("'since' must be an RFC 3339 time")


router = Router(
    "/sandbox",
    route_handlers=[
        list_messages,
        set_scenario,
        inbound,
        click,
        send_now,
        fill_opt_outs,
        set_lookup,
        set_outage,
    ],
)
