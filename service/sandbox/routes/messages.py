"""Retrieve a message, or those of a group; cancel a scheduled one."""

import json
from datetime import UTC, datetime, timedelta

from litestar import Response, delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.sandbox.errors import TelnyxError, not_found
from service.sandbox.messages import group_payload
from service.sandbox.phones import Network
from service.sandbox.query import answer

_KEPT = timedelta(days=10)  # "Retrieve a message"
_CLOSED = timedelta(minutes=1)  # "Cancel a scheduled message"


@get("/messages/{message_id:str}")
async def retrieve(message_id: FromPath[str], network: NamedDependency[Network]) -> Response[bytes]:
    """A message, either way; a group MMS by the id that its POST was answered with."""
    if members := network.messages.group(message_id):
        return answer(group_payload(members))
    found = network.messages.get(message_id) or network.reply(message_id)
    if found is None:
        raise not_found()
    if datetime.now(UTC) - datetime.fromisoformat(found.created_at) > _KEPT:
        raise not_found()
    return answer(found.payload())


@get("/messages/group/{group_id:str}")
async def retrieve_group(
    group_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    if not (members := network.messages.group(group_id)):
        raise not_found()
    return answer([member.payload() for member in members])


@delete("/messages/{message_id:str}", status_code=200, bare=(403, 404))
async def cancel(message_id: FromPath[str], network: NamedDependency[Network]) -> Response[bytes]:
    message = network.messages.get(message_id)
    if message is None:
        raise not_found()
    at = datetime.fromisoformat(message.request.send_at or message.created_at)
    if message.status != "scheduled" or at - datetime.now(UTC) <= _CLOSED:
        raise TelnyxError(
            "10010",
            "Only a message that is scheduled for more than a minute from now can be cancelled.",
        )
    network.cancel(message)
    return Response(json.dumps(message.cancelled()).encode(), media_type="application/json")


handlers = [retrieve, retrieve_group, cancel]
