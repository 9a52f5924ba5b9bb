"""The emulated API, below ``/v2``: send by each kind of sender, and GET a message."""

import asyncio
import hmac
import json
from contextlib import suppress
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from service.sandbox.errors import TelnyxError
from service.sandbox.messages import Message
from service.sandbox.phones import Network
from service.sandbox.requests import SendRequest, read_request
from service.sandbox.scenarios import Answer, Kind, Outcome

_SILENCE = 60.0
_RETRY_AFTER = {
    "retry-after": "1",
    "x-ratelimit-limit": "50",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": "1",
}

_Request = Request[Any, Any, Any]


async def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard: outages first, then the key, as a gateway would."""
    del handler
    network: Network = connection.app.state.network
    mode = network.outage.mode
    if mode == "down":
        raise TelnyxError("10037", "The service is temporarily unavailable.")
    if mode == "slow":
        await asyncio.sleep(network.config.slow_seconds)
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    known = hmac.compare_digest(key.strip().encode(), network.config.api_key.encode())
    if scheme.lower() != "bearer" or not known:
        raise TelnyxError("10009", "No key found matching the ID with the provided secret.")


@post("/messages", status_code=200)
async def send(request: _Request, network: NamedDependency[Network]) -> Response[bytes]:
    return await _send(request, network, None)


@post("/messages/long_code", status_code=200)
async def send_long_code(request: _Request, network: NamedDependency[Network]) -> Response[bytes]:
    return await _send(request, network, Kind.LONG_CODE)


@post("/messages/short_code", status_code=200)
async def send_short_code(request: _Request, network: NamedDependency[Network]) -> Response[bytes]:
    return await _send(request, network, Kind.SHORT_CODE)


@post("/messages/number_pool", status_code=200)
async def send_number_pool(request: _Request, network: NamedDependency[Network]) -> Response[bytes]:
    return await _send(request, network, Kind.NUMBER_POOL)


@post("/messages/alphanumeric_sender_id", status_code=200)
async def send_alphanumeric(
    request: _Request, network: NamedDependency[Network]
) -> Response[bytes]:
    return await _send(request, network, Kind.ALPHANUMERIC)


@get("/messages/{message_id:str}")
async def retrieve(message_id: FromPath[str], network: NamedDependency[Network]) -> Response[bytes]:
    message = network.messages.get(message_id)
    if message is None:
        raise TelnyxError("10005", "The requested resource or URL could not be found.")
    return _data(message)


async def _send(request: _Request, network: Network, kind: Kind | None) -> Response[bytes]:
    wanted = read_request(await request.body(), kind)
    if wanted.to in network.blocked:
        raise _stop_block()
    origin = f"{wanted.kind}:{wanted.from_}"
    outcome = network.scenarios.outcome(wanted.to, wanted.kind, origin)
    if outcome.answer is Answer.SILENCE:
        await _stay_silent(request)
    _refuse(network, wanted, outcome)
    message = network.messages.add(wanted)
    answer = _data(message)
    network.accept(message, outcome)
    if outcome.answer is Answer.LOST:
        raise TelnyxError("10007", "An unexpected error occurred.")
    return answer


async def _stay_silent(request: _Request) -> None:
    """A minute without an answer, or less if the caller hangs up first."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SILENCE):
            # The body has been read, so the only thing left to receive is the disconnect.
            while (await request.receive())["type"] != "http.disconnect":
                pass


def _refuse(network: Network, wanted: SendRequest, outcome: Outcome) -> None:
    match outcome.answer:
        case Answer.OPTED_OUT:
            raise _stop_block()
        case Answer.NOT_A_MOBILE:
            # Documented of reports; the code that says "landline or non-routable".
            raise TelnyxError("40001", "The destination is a landline or not routable.", "/to")
        case Answer.BUSY_TWICE if network.scenarios.is_busy(wanted.to):
            raise TelnyxError("10011", "You have exceeded the rate limit.", headers=_RETRY_AFTER)
        case Answer.SILENCE:
            raise TelnyxError("10007", "An unexpected error occurred.")


def _stop_block() -> TelnyxError:
    return TelnyxError(
        "40300", "Messages cannot be sent from your profile to a number that sent STOP.", "/to"
    )


def _data(message: Message) -> Response[bytes]:
    body = json.dumps({"data": message.payload()}).encode()
    return Response(body, media_type="application/json")


router = Router(
    "/v2",
    guards=[check],
    route_handlers=[
        send,
        send_long_code,
        send_short_code,
        send_number_pool,
        send_alphanumeric,
        retrieve,
    ],
)
