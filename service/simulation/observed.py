"""A model by what was counted: the rows of ``GET /v1/stats/deliveries`` in the place of assumptions.

Counted are messages; what is wanted is what would become of one. So this is an estimate: of what arrived as
many codes are taken to be typed in as the model says, and a sender of fallbacks gets less than its due, for
its people may have typed another message's code.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.domain.stats import MICROS
from service.simulation.model import Carrier, Changes, Country, Model, Reports, Spread

LEAST = 100
"""Messages of a sender to a country, below which the model's numbers stay."""
_P95 = 1.645
_EVERYBODY = (Carrier("all", 1.0),)

Row = Mapping[str, Any]


def observed(model: Model, rows: Sequence[Row]) -> Model:
    """The model with the countries and senders of the rows, each with ``country`` and ``sender``, and
    without the incidents: what broke is in the counts. Carriers are those of the counts, all in one.

    Raises:
        KeyError, TypeError, ValueError: the rows are not that call's.
    """
    by_country: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_country[str(row["country"])].append(row)
    known = {country.code: country for country in model.countries}
    countries = [
        Country(
            code,
            sum(row["sent"] + row["rejected"] for row in found),
            _EVERYBODY,
            known[code].kinds if code in known else model.kinds,
            {
                row["sender"]: _changes(row, model.people.types)
                for row in found
                if row["sent"] >= LEAST
            },
        )
        for code, found in sorted(by_country.items())
    ]
    return replace(model, countries=countries, incidents=())


def _changes(row: Row, types: float) -> Changes:
    sent, proven = row["sent"], row["proven"]
    arrives = min(proven / sent / max(types, 0.01), 1.0)
    found: dict[str, Any] = {
        "refused": row["rejected"] / (sent + row["rejected"]),
        "arrives": arrives,
    }
    if proven >= LEAST / 2:
        of_proven = row["delivered"] - row["delivered_unproven"], row["failed_proven"]
        delivered, failed = (min(max(n, 0) / proven, 1.0) for n in of_proven)
        reported = Reports(
            delivered, failed, min(row["unconfirmed"] / sent, 1 - delivered - failed)
        )
        found |= {"reported": reported, "lost_reported": _of_lost(row, arrives, reported)}
    if len(row["cost"]) == 1:
        found["cost"] = round(float(row["cost"][0]["amount"]) / sent * MICROS) / MICROS
    seconds = row["seconds_to_delivery"]
    if seconds["p50"]:
        spread = math.log(max(seconds["p95"] / seconds["p50"], 1)) / _P95
        # As it is reported: on the phone, and told of, at once.
        found |= {"takes": Spread(seconds["p50"], spread), "report_takes": Spread(0.1, 0.0)}
    return found


def _of_lost(row: Row, arrives: float, reported: Reports) -> Reports:
    """What is reported beyond what the messages that arrived explain."""
    arrived = row["sent"] * arrives
    lost = max(row["sent"] - arrived, 1)
    left, shares = 1.0, []
    for name in ("delivered", "failed", "unconfirmed"):
        beyond = max(row[name] - arrived * getattr(reported, name), 0) / lost
        shares.append(min(beyond, left))
        left -= shares[-1]
    return Reports(*shares)
