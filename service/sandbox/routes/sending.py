"""Send: by each kind of sender, to a group, at a time, over WhatsApp."""

import asyncio
from contextlib import suppress
from uuid import uuid4

from litestar import Response, post
from litestar.di import NamedDependency

from service.sandbox.errors import TelnyxError
from service.sandbox.messages import Message, group_payload
from service.sandbox.phones import Network
from service.sandbox.query import answer
from service.sandbox.requests import SendRequest, read_group, read_request, read_scheduled
from service.sandbox.routes.gateway import AnyRequest, content_type
from service.sandbox.scenarios import OUTCOMES, Answer, Kind, Outcome

_SILENCE = 60.0
_RETRY_AFTER = {
    "retry-after": "1",
    "x-ratelimit-limit": "50",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": "1",
}
_NEVER_SENT = OUTCOMES["0101"]


@post("/messages", status_code=200)
async def send(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    return await _send_as(None, request, network)


@post("/messages/long_code", status_code=200)
async def send_long_code(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    return await _send_as(Kind.LONG_CODE, request, network)


@post("/messages/short_code", status_code=200)
async def send_short_code(
    request: AnyRequest, network: NamedDependency[Network]
) -> Response[bytes]:
    return await _send_as(Kind.SHORT_CODE, request, network)


@post("/messages/number_pool", status_code=200)
async def send_number_pool(
    request: AnyRequest, network: NamedDependency[Network]
) -> Response[bytes]:
    return await _send_as(Kind.NUMBER_POOL, request, network)


@post("/messages/alphanumeric_sender_id", status_code=200)
async def send_alphanumeric(
    request: AnyRequest, network: NamedDependency[Network]
) -> Response[bytes]:
    return await _send_as(Kind.ALPHANUMERIC, request, network)


@post("/messages/whatsapp", status_code=200)
async def send_whatsapp(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    return await _send_as(Kind.WHATSAPP, request, network)


@post("/messages/schedule", status_code=200)
async def schedule(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    wanted = read_scheduled(await request.body(), content_type(request))
    return await _send(wanted, request, network)


@post("/messages/group_mms", status_code=200)
async def send_group(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    wanted = read_group(await request.body(), content_type(request))
    accepted = [await _admit(one, request, network) for one in wanted]
    group = str(uuid4())
    members = [network.messages.add(one, outcome, group) for one, outcome in accepted]
    found = answer(group_payload(members))
    for member in members:
        network.accept(member)
    return found


async def _send_as(kind: Kind | None, request: AnyRequest, network: Network) -> Response[bytes]:
    wanted = read_request(await request.body(), kind, content_type(request))
    return await _send(wanted, request, network)


async def _send(wanted: SendRequest, request: AnyRequest, network: Network) -> Response[bytes]:
    settled, outcome = await _admit(wanted, request, network)
    message: Message = network.messages.add(settled, outcome)
    found = answer(message.accepted())
    network.accept(message)
    if outcome.answer is Answer.LOST:
        raise TelnyxError("10007", "An unexpected error occurred.")
    return found


async def _admit(
    wanted: SendRequest, request: AnyRequest, network: Network
) -> tuple[SendRequest, Outcome]:
    """The request as it will be sent, and what will become of it.

    Raises:
        TelnyxError: it is refused.
    """
    settled = network.account.settle(wanted)
    if network.opt_outs.blocks(settled.messaging_profile_id or "", settled.to):
        raise _stop_block()
    origin = f"{settled.kind}:{settled.from_}"
    outcome = network.scenarios.outcome(settled.to, settled.kind, origin)
    if outcome.answer is Answer.SILENCE:
        await _stay_silent(request)
    _refuse(network, settled, outcome)
    is_free_text = (settled.content or {}).get("type") == "text"
    if is_free_text and not network.has_written_lately(settled.to):
        return settled, _NEVER_SENT
    return settled, outcome


async def _stay_silent(request: AnyRequest) -> None:
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
        case Answer.REFUSED:
            raise TelnyxError(outcome.error, "Messages of this kind are not taken for now.")
        case Answer.SILENCE:
            raise TelnyxError("10007", "An unexpected error occurred.")


def _stop_block() -> TelnyxError:
    return TelnyxError(
        "40300", "Messages cannot be sent from your profile to a number that sent STOP.", "/to"
    )


handlers = [
    send,
    send_long_code,
    send_short_code,
    send_number_pool,
    send_alphanumeric,
    send_whatsapp,
    schedule,
    send_group,
]
