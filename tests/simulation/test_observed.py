"""A model by what was counted: run by it, a simulation counts the like."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.domain.plan import Route
from service.domain.stats import Row, count, increments, quantile, spread
from service.settings.simulation import load_model
from service.simulation.engine import Ended, Engine
from service.simulation.model import Model
from service.simulation.observed import LEAST, observed
from tests.simulation.configurations import configuration

SHIPPED = load_model(None)
MODEL = replace(SHIPPED, people=replace(SHIPPED.people, hours=2), incidents=())


def _rows(model: Model, people: int, seed: int) -> list[dict[str, Any]]:
    """As the API shows what was counted. A plan of one: no other message's code hides what became of it."""
    counters: dict[Row, Counter[str]] = {}

    def add(ended: Ended) -> None:
        assert ended.verification is not None
        found = increments(ended.verification, None, count(ended.verification))
        for of, by in found.items():
            counters.setdefault(of.row, Counter())[of.metric] += by

    alone = configuration(routes=[Route(frozenset({"*"}), ("long",))])
    Engine(alone, model, people=people, seed=seed, on_end=add).run()
    return [_row(row, m) for row, m in counters.items() if row.sender]


def _row(row: Row, m: Mapping[str, int]) -> dict[str, Any]:
    got = Counter(m)
    arrived = spread(m, "arrived")
    return {
        "country": row.country,
        "sender": row.sender,
        **{name: got[name] for name in ("sent", "rejected", "delivered", "failed")},
        **{name: got[name] for name in ("unconfirmed", "proven")},
        "delivered_unproven": got["delivered"] - got["proven_delivered"],
        "failed_proven": got["proven_failed"],
        "cost": [{"amount": str(got["cost.USD"] / 1_000_000), "currency": "USD"}],
        "seconds_to_delivery": {"p50": quantile(arrived, 0.5), "p95": quantile(arrived, 0.95)},
    }


def test_what_is_counted_comes_out_again() -> None:
    before = _rows(MODEL, 700, seed=1)
    model = observed(MODEL, before)
    again = {row["country"]: row for row in _rows(model, 700, seed=2)}
    assert set(again) == {country.code for country in MODEL.countries}
    for row in before:
        other = again[row["country"]]
        for name in ("delivered", "proven"):
            difference = row[name] / row["sent"] - other[name] / other["sent"]
            assert abs(difference) < 4.5 * (0.25 / min(row["sent"], other["sent"])) ** 0.5
        assert abs(row["sent"] - other["sent"]) < 0.4 * row["sent"]


def test_few_messages_leave_the_models_numbers() -> None:
    (row, *_) = _rows(MODEL, 40, seed=1)
    few = row | {"country": "SE", "sent": LEAST - 1}
    (sweden,) = observed(MODEL, [few]).countries
    assert sweden.senders == {}
    assert sweden.kinds == MODEL.kinds
