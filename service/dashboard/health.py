"""Is the log whole, and do the senders send? Chain status, quarantines and senders' health."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from service.api.parts import Parts
from service.dashboard import figures
from service.dashboard.page import render
from service.dashboard.visit import signed_in, visit_of
from service.domain.chain import FIRST
from service.domain.stats import HOUR
from service.store.stats import Detail

_HOURS = 24
_MOST = 500  # unsealed events of a partition that are counted
_LATE = 5 * 60_000
"""A checkpoint older than this, with events since, means that no worker seals."""


@get("/dashboard/health", guards=[signed_in], include_in_schema=False)
async def health(request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Response[bytes]:
    visit, now = visit_of(request), parts.clock.now()
    heads, last = await parts.chain.heads(), await parts.chain.last_checkpoint()
    waiting = await parts.chain.unsealed(await parts.chain.waiting(), _MOST)
    unsealed = sum(len(page.events) for page in waiting)
    quarantined = await parts.quarantines.all()
    hour = now // HOUR
    rows = await parts.stats.together(range(hour - _HOURS + 1, hour + 1), Detail.SENDERS)
    sealed = sum(head.sequence for head in heads.values())
    signed = last.sealed if last is not None else 0
    broken = [
        partition
        for partition, head in (last.heads if last is not None else {}).items()
        if heads.get(partition, FIRST).sequence < head.sequence
    ]
    values = {
        "now": now,
        "broken": broken,
        "sealed": sealed,
        "unsealed": unsealed,
        "signed": signed,
        "checkpoint": last,
        "is_late": sealed > signed and (last is None or now - last.at > _LATE),
        "senders": figures.senders(rows, lambda row: visit.may_see(row.app)),
        "quarantined": sorted(quarantined.items()),
    }
    return render("health", values, visit=visit)
