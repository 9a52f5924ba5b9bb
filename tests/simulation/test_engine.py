"""The simulation: what holds of ``decide`` holds in it, and it finds what a change of policy does."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.decide import Policy
from service.domain.ordering import OrderingPolicy, Why
from service.domain.plan import Route, SenderKind
from service.domain.stats import HOUR
from service.domain.verification import Reason, Status
from service.settings.simulation import load_model
from service.simulation.engine import START, Configuration, Ended, Engine
from service.simulation.model import Incident, Model, Reports
from service.simulation.outcome import Tally, differences, figures
from tests.domain.strategies import policies
from tests.simulation.configurations import configuration

SHIPPED = load_model(None)
MODEL = replace(SHIPPED, people=replace(SHIPPED.people, hours=2))
FIXED, ADAPTIVE = OrderingPolicy(), OrderingPolicy(adaptive=True, sticky=True, quarantine=True)
US = frozenset({"US"})
FAKE = {"arrives": 0.0, "lost_reported": Reports(1.0, 0.0, 0.0)}
BROKEN = {"arrives": 0.0, "lost_reported": Reports(0.0, 1.0, 0.0)}


def _america(*incidents: Incident) -> Model:
    """One country, and nothing that breaks but what is asked for."""
    (country,) = (country for country in MODEL.countries if country.code == "US")
    return replace(MODEL, countries=[country], incidents=incidents)


def _run(
    configuration: Configuration, model: Model = MODEL, people: int = 100, seed: int = 1
) -> list[Ended]:
    ended: list[Ended] = []
    logins = Engine(configuration, model, people=people, seed=seed, on_end=ended.append).run()
    assert len(ended) == logins
    return ended


def _tally(configuration: Configuration, model: Model, people: int) -> Tally:
    tally = Tally()
    Engine(configuration, model, people=people, seed=1, on_end=tally.add).run()
    return tally


@settings(max_examples=10)
@given(
    policies,
    st.sampled_from([FIXED, ADAPTIVE, replace(ADAPTIVE, explore=0.2)]),
    st.integers(0, 2**32),
    st.integers(0, 5),
)
def test_the_invariants_of_decide_hold(
    policy: Policy, ordering: OrderingPolicy, seed: int, resends: int
) -> None:
    found = configuration(policy=policy, ordering=ordering)
    model = replace(MODEL, people=replace(MODEL.people, resends=resends))
    for ended in _run(found, model, 40, seed):
        v = ended.verification
        assert v is not None
        assert v.messages <= policy.max_deliveries
        assert v.status not in (Status.PENDING, Status.CANCELED)
        assert (ended.approved_after is not None) == (v.status is Status.APPROVED)
        last = v.created_at + (
            v.expires_at if ended.approved_after is None else ended.approved_after
        )
        assert all(v.created_at <= d.begun_at <= last for d in v.deliveries)
        assert [d.number for d in v.deliveries] == list(range(1, len(v.deliveries) + 1))
        assert {d.sender for d in v.deliveries} <= {s.name for s in v.plan}
        assert sum(d.proven for d in v.deliveries) == (v.status is Status.APPROVED)
        assert sum(d.reason is Reason.RESEND for d in v.deliveries) <= resends


def test_the_same_seed_gives_the_same_logins_and_another_gives_others() -> None:
    found = configuration(ordering=ADAPTIVE)
    assert _run(found) == _run(found)
    assert _run(found) != _run(found, seed=2)


def test_two_that_differ_in_nothing_differ_by_nothing() -> None:
    one, other = (_tally(configuration(), MODEL, 200) for _ in range(2))
    for change in differences(one.groups, other.groups).values():
        assert change.value == change.low == change.high == 0
    for figure in figures(one.groups).values():
        assert figure.low <= figure.value <= figure.high


def test_a_longer_plan_and_a_shorter_timeout_show_in_the_figures() -> None:
    model = _america(Incident(0, 24, BROKEN, kind=SenderKind.SHORT_CODE))
    alone = configuration(routes=[Route(US, ("short",))])
    before, after = _tally(alone, model, 200), _tally(configuration(), model, 200)
    assert before.within(300) == 0
    change = differences(before.groups, after.groups)
    assert change["approved"].low > 0.8
    assert change["undeliverable"].high < -0.5
    assert after.all_fallbacks["delivery_failed"] > 0.9 * after.logins


@pytest.mark.parametrize("breaks", [FAKE, BROKEN])
def test_adaptive_goes_round_a_sender_that_breaks_and_back(breaks: dict[str, Any]) -> None:
    incident = Incident(1, 2, breaks, kind=SenderKind.SHORT_CODE)
    people = replace(MODEL.people, logins=1, hours=6)
    model = replace(_america(incident), people=people)
    fixed = _tally(configuration(), model, 1_000)
    learnt: list[Ended] = _run(configuration(ordering=ADAPTIVE), model, 1_000)
    adaptive = Tally()
    for ended in learnt:
        adaptive.add(ended)
    change = differences(fixed.groups, adaptive.groups)
    assert change["approved within 60 s"].low > 0 or change["fallbacks per login"].high < 0
    late = [e for e in learnt if _hour(e) >= 5]
    first = [e.verification.deliveries[0].sender for e in late if e.verification]
    assert first.count("short") > 0.85 * len(first)
    explored = sum(e.why is Why.EXPLORATION for e in learnt)
    assert explored < 0.065 * len(learnt)


def _hour(ended: Ended) -> float:
    assert ended.verification is not None
    return (ended.verification.created_at - START) / HOUR


def test_a_country_without_a_route_is_refused() -> None:
    tally = _tally(configuration(routes=[Route(US, ("short", "long"))]), MODEL, 100)
    refused = {
        country: sum(g["refused"] for g in tally.countries[country]) for country in tally.countries
    }
    assert refused.pop("US") == 0
    assert all(refused.values())


def test_whoever_gets_no_sms_is_reached_by_whatsapp() -> None:
    model = replace(_america(), people=replace(MODEL.people, no_sms=1.0))
    for ended in _run(configuration(), model, 40):
        assert ended.verification is not None
        kinds = [d.kind for d in ended.verification.deliveries]
        assert kinds[:2] == [SenderKind.SHORT_CODE, SenderKind.WHATSAPP]
