"""Is the log whole, and do the senders send? Chain status, quarantines and senders' health."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from service.api.parts import Parts
from service.dashboard import figures
from service.dashboard.page import render
from service.dashboard.visit import signed_in, visit_of
from service.domain.stats import HOUR

_HOURS = 24
_LATE = 5 * 60_000
"""A checkpoint older than this, with events since, means that no worker seals."""


@get("/dashboard/health", guards=[signed_in], include_in_schema=False)
async def health(request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Response[bytes]:
    visit, now = visit_of(request), parts.clock.now()
    heads, last = await parts.chain.heads(), await parts.chain.last_checkpoint()
    unsealed = sum(len(page.events) for page in await parts.chain.unsealed())
    quarantined = await parts.quarantines.all()
    hour = now // HOUR
    hours = await parts.stats.hours(hour - _HOURS + 1, hour)
    sealed = sum(head.sequence for head in heads.values())
    signed = sum(head.sequence for head in last.heads.values()) if last is not None else 0
    values = {
        "sealed": sealed,
        "unsealed": unsealed,
        "signed": signed,
        "checkpoint": last,
        "is_late": sealed > signed and (last is None or now - last.at > _LATE),
        "now": now,
        "quarantined": sorted(quarantined.items()),
        "senders": figures.senders(hours, lambda row: visit.may_see(row.app)),
    }
    return render("health", values, visit=visit)
