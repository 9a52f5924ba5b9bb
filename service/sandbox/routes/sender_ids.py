"""Alphanumeric sender IDs."""

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.sandbox.account import SenderId, is_us_long_code
from service.sandbox.errors import not_found
from service.sandbox.fields import ALPHANUMERIC
from service.sandbox.phones import Network
from service.sandbox.query import answer, paged
from service.sandbox.routes.gateway import AnyRequest, body_of, query_of

_WRONG = 422  # the status that these operations declare


@get("/alphanumeric_sender_ids")
async def list_all(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    query = query_of(request, wrong=_WRONG)
    profile = query.uuid("filter[messaging_profile_id]")
    found = _of(network, profile) if profile else list(network.account.sender_ids.values())
    return paged(found, query.page(), SenderId.payload)


@post("/alphanumeric_sender_ids", status_code=201)
async def create(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    fields = await body_of(request, wrong=_WRONG)
    name = fields.required("alphanumeric_sender_id")
    if not ALPHANUMERIC.fullmatch(name):
        form = "An alphanumeric sender ID has 1 to 11 letters, digits and blanks, and a letter."
        raise fields.refusal("40325", form, "alphanumeric_sender_id")
    fields.required("messaging_profile_id")
    profile = fields.uuid("messaging_profile_id") or ""
    fallback = fields.string("us_long_code_fallback")
    if fallback is not None and not is_us_long_code(fallback):
        raise fields.invalid("us_long_code_fallback", "a US number in +E.164 format")
    network.account.know_profile(profile)
    made = SenderId(
        alphanumeric_sender_id=name, messaging_profile_id=profile, us_long_code_fallback=fallback
    )
    network.account.sender_ids.put(made.id, made)
    return answer(made.payload(), status=201)


@get("/alphanumeric_sender_ids/{sender_id:str}")
async def retrieve(sender_id: FromPath[str], network: NamedDependency[Network]) -> Response[bytes]:
    found = network.account.sender_ids.get(sender_id)
    if found is None:
        raise not_found()
    return answer(found.payload())


@delete("/alphanumeric_sender_ids/{sender_id:str}", status_code=200)
async def remove(sender_id: FromPath[str], network: NamedDependency[Network]) -> Response[bytes]:
    gone = network.account.sender_ids.pop(sender_id)
    if gone is None:
        raise not_found()
    return answer(gone.payload())


@get("/messaging_profiles/{profile_id:str}/alphanumeric_sender_ids")
async def list_of_profile(
    request: AnyRequest, profile_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    if profile_id not in network.account.profiles:
        raise not_found()
    return paged(_of(network, profile_id), query_of(request).page(), SenderId.payload)


def _of(network: Network, profile: str) -> list[SenderId]:
    every = network.account.sender_ids.values()
    return [one for one in every if one.messaging_profile_id == profile]


handlers = [list_all, create, retrieve, remove, list_of_profile]
