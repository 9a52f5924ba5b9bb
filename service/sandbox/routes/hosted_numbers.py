"""The account's numbers."""

from dataclasses import replace
from typing import Any

from litestar import Response, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.sandbox.account import HostedNumber
from service.sandbox.errors import not_found
from service.sandbox.messages import now
from service.sandbox.metrics import Tally
from service.sandbox.phones import Network
from service.sandbox.query import answer, paged
from service.sandbox.routes.gateway import AnyRequest, body_of, query_of

_PRODUCTS = ("A2P", "P2P")


@get("/messaging_hosted_numbers")
async def list_all(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    query = query_of(request)
    profile = query.uuid("filter[messaging_profile_id]")
    exact = query.text("filter[phone_number]")
    part = query.text("filter[phone_number][contains]") or ""
    found = [
        number
        for number in network.account.numbers.values()
        if profile in (None, number.messaging_profile_id)
        and exact in (None, number.phone_number)
        and part in number.phone_number
    ]
    if order := query.choice("sort[phone_number]", ("asc", "desc")):
        found.sort(key=lambda number: number.phone_number, reverse=order == "desc")
    tallies = _tallies(network)
    return paged(found, query.page(), lambda number: _form(number, tallies))


@get("/messaging_hosted_numbers/{number_id:str}")
async def retrieve(number_id: FromPath[str], network: NamedDependency[Network]) -> Response[bytes]:
    return answer(_form(_find(network, number_id), _tallies(network)))


@patch("/messaging_hosted_numbers/{number_id:str}")
async def update(
    request: AnyRequest, number_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    number = _find(network, number_id)
    fields = await body_of(request)
    product = fields.choice("messaging_product", _PRODUCTS)
    tags = fields.strings("tags")
    profile = number.messaging_profile_id
    if fields.string("messaging_profile_id") == "":
        profile = None
    elif (given := fields.uuid("messaging_profile_id")) is not None:
        network.account.know_profile(given)
        profile = given
    changed = replace(
        number,
        messaging_product=product or number.messaging_product,
        messaging_profile_id=profile,
        tags=number.tags if tags is None else tags,
        updated_at=now(),
    )
    network.account.numbers.put(changed.phone_number, changed)
    return answer(_form(changed, _tallies(network)))


def _find(network: Network, id_: str) -> HostedNumber:
    numbers = network.account.numbers
    # By its id or by the number itself, whose + some clients write as a blank.
    found: HostedNumber | None = numbers.get(id_) or numbers.get("+" + id_.strip())
    if found is None:
        found = next((one for one in numbers.values() if one.id == id_), None)
    if found is None:
        raise not_found()
    return found


def _tallies(network: Network) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    for message in network.messages.of(None):
        found.setdefault(message.request.from_, Tally()).count(message)
    for reply in network.replies:
        found.setdefault(reply.to, Tally()).count(reply)
    return found


def _form(number: HostedNumber, tallies: dict[str, Tally]) -> dict[str, Any]:
    return number.payload(tallies.get(number.phone_number, Tally()).health())


handlers = [list_all, retrieve, update]
