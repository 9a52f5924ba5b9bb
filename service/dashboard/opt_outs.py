"""Who gets no messages, masked."""

import re
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from service.api.parts import Parts
from service.dashboard.page import render
from service.dashboard.visit import Visit, signed_in, visit_of
from service.domain.opt_out_scope import EVERYTHING
from service.store.recipients import OptOut

_PAGE = 100
_CURSOR = re.compile(r"([0-9]{1,2})\.([0-9]{1,9})", re.ASCII)
SOURCES = {
    "inbound": "a text of the person's",
    "telnyx": "Telnyx's list, or its refusal",
    "api": "the API, or an operator",
}


@get("/dashboard/opt-outs", guards=[signed_in], include_in_schema=False)
async def opt_outs(
    request: Request[Any, Any, Any],
    parts: NamedDependency[Parts],
    cursor: FromQuery[str] = "",
) -> Response[bytes]:
    visit, match = visit_of(request), _CURSOR.fullmatch(cursor)
    begin = (int(match[1]), int(match[2])) if match else (0, 0)
    page = await parts.recipients.list_opt_outs(begin, _PAGE)
    values = {
        "opt_outs": [entry for entry in page.items if _may_see(visit, entry)],
        "sources": SOURCES,
        "everything": EVERYTHING,
        "next": f"{page.next[0]}.{page.next[1]}" if page.next else "",
        "is_first": match is None,
    }
    return render("opt_outs", values, visit=visit)


def _may_see(visit: Visit, entry: OptOut) -> bool:
    """One of everything concerns every app."""
    return visit.is_admin or entry.scope in (EVERYTHING, f"app:{visit.key.app}")
