"""Number lookup."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.sandbox.errors import TelnyxError
from service.sandbox.fields import E164
from service.sandbox.lookup import is_possible, line_of, record
from service.sandbox.phones import Network
from service.sandbox.query import answer
from service.sandbox.routes.gateway import AnyRequest, query_of


@get("/number_lookup/{phone_number:str}")
async def look_up(
    request: AnyRequest, phone_number: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    wanted = query_of(request, wrong=422).choice("type", ("carrier", "caller-name"))
    if not E164.fullmatch(phone_number) or not is_possible(phone_number):
        raise TelnyxError("10016", "The phone number should be in +E.164 format.")
    line = network.lookups.get(phone_number) or line_of(phone_number)
    return answer(record(phone_number, line, wanted))


handlers = [look_up]
