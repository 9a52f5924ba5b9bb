"""The overview: what became of logins, over time, by country and sender, and against last week."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from service.api.parts import Parts
from service.dashboard import figures
from service.dashboard.page import render
from service.dashboard.visit import signed_in, visit_of
from service.domain.stats import HOUR, Row
from service.store.stats import Detail

_WINDOWS = {"24h": 24, "7d": 7 * 24, "35d": 35 * 24}
_WIDTH, _HEIGHT = 720, 160


@get("/dashboard/overview", guards=[signed_in], include_in_schema=False)
async def overview(
    request: Request[Any, Any, Any],
    parts: NamedDependency[Parts],
    window: FromQuery[str] = "24h",
) -> Response[bytes]:
    visit, shown = visit_of(request), window if window in _WINDOWS else "24h"
    last = parts.clock.now() // HOUR
    first = last - _WINDOWS[shown] + 1
    window_ = range(first, last + 1)
    logins = await parts.stats.hours({*window_, last - 1, last - 1 - figures.WEEK}, Detail.LOGINS)
    inside = {hour: rows for hour, rows in logins.items() if hour >= first}
    messages = await parts.stats.together(window_, Detail.SENDERS)

    def sees(row: Row) -> bool:
        return visit.may_see(row.app)

    course = figures.course(inside, window_, sees)
    senders, countries = figures.heat_map(messages, sees)
    values = {
        "window": shown,
        "windows": list(_WINDOWS),
        "funnel": figures.funnel(inside, sees),
        "course": course,
        "chart": figures.chart(course, _WIDTH, _HEIGHT) if any(h.started for h in course) else None,
        "width": _WIDTH,
        "height": _HEIGHT,
        "senders": senders,
        "countries": countries,
        "changes": figures.against_last_week(logins, last - 1, sees),
        "compared": (last - 1) * HOUR,
        "week_before": (last - 1 - figures.WEEK) * HOUR,
        "now": parts.clock.now(),
    }
    return render("overview", values, visit=visit)
