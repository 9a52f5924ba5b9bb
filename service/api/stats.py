"""``/v1/stats``: what became of messages and of verifications, from counters."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from pydantic import BaseModel

from service.api.auth import caller
from service.api.body import Answer, Instant, answer
from service.api.parts import Parts
from service.domain.errors import InvalidRequestError
from service.domain.instant import rfc3339
from service.domain.stats import HOUR, MICROS, Row, quantile, spread
from service.domain.stats_sums import Sums, total
from service.store.api_keys import ApiKey, Scope
from service.store.stats import Detail, Rows

_WINDOW = re.compile(r"([1-9][0-9]{0,2})(h|d)", re.ASCII)
_MOST_HOURS = 35 * 24
_LONGEST_APP = 64
_GROUPS = ("app", "country", "sender", "carrier", "hour")
_DEFAULT_GROUPS = "country,sender"
_QUERY = ("window", "app", "group_by")


class CostModel(BaseModel):
    """The sum of what Telnyx reported."""

    amount: str
    currency: str


class Seconds(BaseModel):
    """Half took at most ``p50``, 95 of 100 at most ``p95`` (at most 5 % off); null where none did."""

    p50: float | None
    p95: float | None


class DeliveriesRow(BaseModel):
    """What became of the messages begun in the window. ``delivered_unproven``: reported delivered, and its
    code was never typed; ``failed_proven``: reported failed, and its code was typed all the same. The
    two are the truth gap."""

    app: str | None = None
    country: str | None = None
    sender: str | None = None
    carrier: str | None = None
    hour: Instant | None = None
    sent: int
    rejected: int
    delivered: int
    failed: int
    unconfirmed: int
    proven: int
    delivered_unproven: int
    failed_proven: int
    seconds_to_delivery: Seconds
    seconds_to_approval: Seconds
    cost: list[CostModel]


class DeliveriesAnswer(BaseModel):
    """``since``: the window's first hour. Rows of the most messages come first."""

    window: str
    since: Instant
    rows: list[DeliveriesRow]


class FunnelRow(BaseModel):
    """What became of the verifications started in an hour. ``accepted``: Telnyx took a message;
    ``delivered``: one was reported delivered. ``fallbacks`` and ``blocked`` by reason or rule."""

    hour: Instant
    started: int
    accepted: int
    delivered: int
    approved: int
    expired: int
    locked: int
    canceled: int
    undeliverable: int
    fallbacks: dict[str, int]
    blocked: dict[str, int]
    seconds_to_approval: Seconds


class FunnelAnswer(BaseModel):
    """Oldest hour first; hours without any are left out."""

    window: str
    since: Instant
    rows: list[FunnelRow]


class Stats(Controller):
    """Counted by the hour, seconds behind. A key sees its own app; with the scope ``admin`` beside
    ``audit`` it sees all."""

    path = "/v1/stats"
    tags = ["statistics"]
    opt = {"scope": Scope.AUDIT}

    @get(
        "/deliveries",
        operation_id="deliveryStatistics",
        summary="What became of messages, by country and sender",
        opt={"answer": DeliveriesAnswer, "query": _QUERY, "problems": ("invalid-request",)},
    )
    async def deliveries(
        self,
        request: Request[Any, Any, Any],
        parts: NamedDependency[Parts],
        window: FromQuery[str] = "24h",
        app: FromQuery[str | None] = None,
        group_by: FromQuery[str] = _DEFAULT_GROUPS,
    ) -> Answer:
        groups = _groups(group_by)
        first, last = _hours(window, parts.clock.now())
        detail = Detail.CARRIERS if "carrier" in groups else Detail.SENDERS
        hours = range(first, last + 1)
        found = (
            await parts.stats.hours(hours, detail)
            if "hour" in groups
            else {first: await parts.stats.together(hours, detail)}
        )
        seen = _seen(caller(request), app)

        rows = delivery_rows(found, groups, seen)
        return answer(DeliveriesAnswer(window=window, since=_show_hour(first), rows=rows))

    @get(
        "/verifications",
        operation_id="verificationStatistics",
        summary="What became of verifications, by hour",
        opt={"answer": FunnelAnswer, "query": ("window", "app"), "problems": ("invalid-request",)},
    )
    async def verifications(
        self,
        request: Request[Any, Any, Any],
        parts: NamedDependency[Parts],
        window: FromQuery[str] = "24h",
        app: FromQuery[str | None] = None,
    ) -> Answer:
        first, last = _hours(window, parts.clock.now())
        found = await parts.stats.hours(range(first, last + 1), Detail.LOGINS)
        seen = _seen(caller(request), app)
        rows = [
            _funnel_row(hour, [ms for row, ms in of_hour.items() if seen(row)])
            for hour, of_hour in found.items()
        ]
        return answer(FunnelAnswer(window=window, since=_show_hour(first), rows=rows))


def delivery_rows(
    hours: Mapping[int, Rows], groups: Sequence[str], seen: Callable[[Row], bool]
) -> list[DeliveriesRow]:
    """The hours' rows by these names, those of the most messages first."""

    def key(hour: int, row: Row) -> tuple[str, ...]:
        return tuple(_show_hour(hour) if g == "hour" else getattr(row, g) for g in groups)

    grouped: dict[tuple[str, ...], list[Sums]] = {}
    for hour, rows in hours.items():
        for row, metrics in rows.items():
            if seen(row):
                grouped.setdefault(key(hour, row), []).append(metrics)
    found = [_deliveries_row(dict(zip(groups, k, strict=True)), ms) for k, ms in grouped.items()]
    return sorted(found, key=lambda row: -row.sent)


def _hours(window: str, now: int) -> tuple[int, int]:
    """The first and the last hour of a window that ends now; it begins at a full hour."""
    match = _WINDOW.fullmatch(window)
    hours = int(match[1]) * (24 if match[2] == "d" else 1) if match else 0
    if not 0 < hours <= _MOST_HOURS:
        raise InvalidRequestError.at(
            "window", "must be hours or days, such as 24h or 7d, at most 35d"
        )
    last = now // HOUR
    return last - hours + 1, last


def _groups(text: str) -> list[str]:
    groups = text.split(",")
    if not set(groups) <= set(_GROUPS) or len(set(groups)) != len(groups):
        raise InvalidRequestError.at("group_by", f"must be some of {','.join(_GROUPS)}, each once")
    return groups


def _seen(key: ApiKey, app: str | None) -> Callable[[Row], bool]:
    """Which rows a key may see, narrowed to an app if it asks for one."""
    if app is not None and len(app) > _LONGEST_APP:
        raise InvalidRequestError.at("app", "is longer than an app's name can be")
    own = None if Scope.ADMIN in key.scopes else key.app
    return lambda row: own in (None, row.app) and app in (None, row.app)


def _deliveries_row(names: Mapping[str, str], metrics: Iterable[Sums]) -> DeliveriesRow:
    m = total(metrics)
    return DeliveriesRow(
        app=names.get("app"),
        country=names.get("country"),
        sender=names.get("sender"),
        carrier=names.get("carrier"),
        hour=names.get("hour"),
        sent=m["sent"],
        rejected=m["rejected"],
        delivered=m["delivered"],
        failed=m["failed"],
        unconfirmed=m["unconfirmed"],
        proven=m["proven"],
        delivered_unproven=m["delivered"] - m["proven_delivered"],
        failed_proven=m["proven_failed"],
        seconds_to_delivery=_seconds(m, "arrived"),
        seconds_to_approval=_seconds(m, "typed"),
        cost=[
            CostModel(amount=f"{by / MICROS:.6f}".rstrip("0").rstrip("."), currency=currency)
            for currency, by in sorted(_of(m, "cost").items())
        ],
    )


def _funnel_row(hour: int, metrics: Iterable[Sums]) -> FunnelRow:
    m = total(metrics)
    names = (
        "started", "accepted", "delivered", "approved", "expired", "locked", "canceled", "undeliverable",
    )  # fmt: skip
    return FunnelRow(
        hour=_show_hour(hour),
        **{name: m[name] for name in names},
        fallbacks=_of(m, "fallback"),
        blocked=_of(m, "blocked"),
        seconds_to_approval=_seconds(m, "typed"),
    )


def _of(metrics: Mapping[str, int], name: str) -> dict[str, int]:
    start = f"{name}."
    return {m.removeprefix(start): by for m, by in metrics.items() if m.startswith(start)}


def _seconds(metrics: Mapping[str, int], name: str) -> Seconds:
    buckets = spread(metrics, name)
    return Seconds(p50=quantile(buckets, 0.5), p95=quantile(buckets, 0.95))


def _show_hour(hour: int) -> str:
    return rfc3339(hour * HOUR)
