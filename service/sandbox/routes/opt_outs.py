"""The list of opt-outs."""

from litestar import Response, get
from litestar.di import NamedDependency

from service.sandbox.phones import Network
from service.sandbox.query import paged
from service.sandbox.routes.gateway import AnyRequest, query_of


@get("/messaging_optouts", bare=(400, 401))
async def list_all(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    query = query_of(request)
    page = query.page()
    profile = query.text("filter[messaging_profile_id]")
    from_ = query.text("filter[from]")
    is_within = query.between("created_at")
    redacted = (query.text("redaction_enabled") or "false").lower() != "false"
    found = network.opt_outs.all()
    if profile or from_ or any(name.startswith("created_at") for name in request.query_params):
        found = [
            one
            for one in found
            if profile in (None, one.messaging_profile_id)
            and from_ in (None, one.from_)
            and is_within(one.created_at)
        ]
    return paged(found, page, lambda one: one.payload(redacted=redacted))


handlers = [list_all]
