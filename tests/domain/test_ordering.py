"""The order of senders: what must hold of it for all evidence, and that it finds who does best."""

import dataclasses
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service.domain.ordering import (
    Evidence,
    OrderingPolicy,
    Place,
    Why,
    as_given,
    evidence_of,
    order,
)
from service.domain.plan import Sender, SenderKind
from service.domain.proportion import bounds
from service.domain.quarantine import Quarantined
from service.domain.stats import HOUR, Where
from tests.domain.strategies import SENDERS

NOW = 1_800_000_000_000
THIS_HOUR = NOW // HOUR
SHORT, LONG, POOL, CHAT = SENDERS
ON = OrderingPolicy(adaptive=True, sticky=True, quarantine=True)
STILL = dataclasses.replace(ON, explore=0.0)
HELD = Quarantined(since=NOW - 1, until=NOW + 1, strikes=1, failed=9, known=10, usual=0.05)
ENDING = dataclasses.replace(HELD, until=NOW)

dice = st.integers(0, 2**32).map(Random)
plans = st.permutations(SENDERS).flatmap(
    lambda all_: st.integers(1, len(SENDERS)).map(lambda n: tuple(all_[:n]))
)
names = st.sampled_from([sender.name for sender in SENDERS])
counts = st.integers(0, 3_000)
evidences = st.dictionaries(
    names,
    st.builds(
        lambda sent, share, cost: Evidence(sent, round(sent * share), cost),
        counts,
        st.floats(0, 1),
        st.none() | st.integers(0, 200_000),
    ),
)
quarantines = st.dictionaries(names, st.sampled_from([HELD, ENDING]))
policies = st.builds(
    OrderingPolicy,
    adaptive=st.booleans(),
    sticky=st.booleans(),
    quarantine=st.booleans(),
    explore=st.floats(0, 1),
    worth=st.integers(10_000, 10_000_000),
    trial=st.floats(0, 1),
)


def _names(places: tuple[Place, ...]) -> list[str]:
    return [place.sender.name for place in places]


@given(plans, policies, dice, st.data())
def test_an_order_has_each_sender_of_the_plan_once(
    plan: tuple[Sender, ...], policy: OrderingPolicy, dice: Random, data: st.DataObject
) -> None:
    places = order(
        plan,
        policy,
        dice,
        now=NOW,
        evidence=data.draw(evidences),
        quarantined=data.draw(quarantines),
        sticky=data.draw(st.none() | names),
        explores=data.draw(st.booleans()),
    )
    assert sorted(_names(places)) == sorted(sender.name for sender in plan)
    last = [place.why is Why.QUARANTINED for place in places]
    assert last == sorted(last)  # whoever is held comes behind all others
    assert all(place.to_members()["why"] for place in places)


@given(plans, dice, evidences, st.none() | names)
def test_switched_off_or_fixed_the_order_is_the_configured_one(
    plan: tuple[Sender, ...], dice: Random, evidence: dict[str, Evidence], sticky: str | None
) -> None:
    off = OrderingPolicy()
    quarantined = {sender.name: HELD for sender in plan}
    places = order(
        plan, off, dice, now=NOW, evidence=evidence, quarantined=quarantined, sticky=sticky
    )
    assert tuple(place.sender for place in places) == plan
    assert {place.why for place in places} == {Why.CONFIGURED}
    assert tuple(place.sender for place in as_given(plan, Why.FIXED)) == plan


@given(plans, dice, st.dictionaries(names, st.builds(Evidence, st.integers(0, 9))))
def test_little_data_leaves_the_configured_order(
    plan: tuple[Sender, ...], dice: Random, evidence: dict[str, Evidence]
) -> None:
    places = order(plan, STILL, dice, now=NOW, evidence=evidence)
    assert tuple(place.sender for place in places) == plan
    assert {place.why for place in places} == {Why.CONFIGURED}


@given(plans, dice, evidences, names)
def test_whoever_is_clearly_better_than_all_others_comes_first(
    plan: tuple[Sender, ...], dice: Random, evidence: dict[str, Evidence], best: str
) -> None:
    sms = [sender for sender in plan if sender.kind.is_sms]
    if best not in [sender.name for sender in sms]:
        return
    given_ = {n: Evidence(max(e.sent, 50), min(e.proven, 25)) for n, e in evidence.items()}
    known = {s.name: given_.get(s.name, Evidence(50, 20)) for s in sms}
    known[best] = Evidence(1_000, 999)
    places = order(plan, STILL, dice, now=NOW, evidence=known)
    first = next(place for place in places if place.sender.kind.is_sms)
    worse = [bounds(known[s.name].proven, known[s.name].sent, 1.64)[1] for s in sms[1:]]
    assert first.sender.name == best, worse


@given(plans, dice, evidences, st.integers(1, 500))
def test_more_proven_codes_never_move_a_sender_back(
    plan: tuple[Sender, ...], dice: Random, evidence: dict[str, Evidence], more: int
) -> None:
    for name, found in evidence.items():
        if name not in [sender.name for sender in plan]:
            continue
        better = dataclasses.replace(found, proven=min(found.sent, found.proven + more))
        before = _names(order(plan, STILL, dice, now=NOW, evidence=evidence))
        after = _names(order(plan, STILL, dice, now=NOW, evidence=evidence | {name: better}))
        assert (after[0] == name) >= (before[0] == name)


@given(plans, dice, evidences, st.none() | names)
def test_whatsapp_keeps_its_place(
    plan: tuple[Sender, ...], dice: Random, evidence: dict[str, Evidence], sticky: str | None
) -> None:
    places = order(plan, ON, dice, now=NOW, evidence=evidence, sticky=sticky)
    configured = [n for n, sender in enumerate(plan) if sender.kind is SenderKind.WHATSAPP]
    now = [n for n, place in enumerate(places) if place.sender.kind is SenderKind.WHATSAPP]
    assert now == configured


def test_at_most_the_share_explores_and_rather_who_may_be_good() -> None:
    dice, policy = Random(1), dataclasses.replace(ON, explore=0.05)
    evidence = {"short": Evidence(900, 600), "long": Evidence(30, 20), "pool": Evidence(30, 1)}
    plan = (SHORT, LONG, POOL)
    seen = [order(plan, policy, dice, now=NOW, evidence=evidence)[0] for _ in range(10_000)]
    explored = [place for place in seen if place.why is Why.EXPLORATION]
    assert 0.04 < len(explored) / len(seen) < 0.06
    assert sum(place.sender is LONG for place in explored) > 0.95 * len(explored)
    assert {place.sender for place in seen if place.why is not Why.EXPLORATION} == {SHORT}
    notices = [order((SHORT, LONG), policy, dice, now=NOW, explores=False)[0] for _ in range(500)]
    assert {place.why for place in notices} == {Why.CONFIGURED}


def test_a_persons_last_sender_comes_first_unless_it_is_quarantined() -> None:
    plan, dice = (SHORT, LONG, POOL, CHAT), Random(1)
    evidence = {"short": Evidence(900, 800), "pool": Evidence(900, 100)}
    places = order(plan, ON, dice, now=NOW, evidence=evidence, sticky="pool")
    assert _names(places) == ["pool", "short", "long", "chat"]
    assert places[0].why is Why.STICKY
    held = order(plan, STILL, dice, now=NOW, sticky="pool", quarantined={"pool": HELD})
    assert _names(held) == ["short", "long", "chat", "pool"]
    assert held[-1].why is Why.QUARANTINED
    assert held[-1].to_members()["failing"] == 0.9
    gone = order(plan, STILL, dice, now=NOW, sticky="another")
    assert _names(gone) == [sender.name for sender in plan]


def test_a_quarantine_that_is_to_end_is_tried_by_some() -> None:
    dice = Random(1)
    seen = [
        order((SHORT, LONG), STILL, dice, now=NOW, quarantined={"short": ENDING})
        for _ in range(5_000)
    ]
    tried = [places for places in seen if places[0].sender is SHORT]
    assert 0.17 < len(tried) / len(seen) < 0.23
    assert {places[0].why for places in tried} == {Why.TRIAL}


def test_a_cheaper_sender_passes_one_that_converts_as_well() -> None:
    alike = {"short": Evidence(5_000, 4_000, 60_000), "long": Evidence(5_000, 3_990, 4_000)}
    assert _names(order((SHORT, LONG), STILL, Random(1), now=NOW, evidence=alike))[0] == "long"
    rich = dataclasses.replace(STILL, worth=100_000_000)
    assert _names(order((SHORT, LONG), rich, Random(1), now=NOW, evidence=alike))[0] == "short"


def test_evidence_goes_back_to_where_it_contradicts_what_came_after() -> None:
    where = Where("US", "short")

    def seen(*proven: int) -> Evidence:
        """Of a hundred in each hour, the newest first."""
        hours = {
            THIS_HOUR - age: {
                where: {"first": 100, "first_proven": n, "sent": 200, "cost.USD": 800_000}
            }
            for age, n in enumerate(proven)
        }
        return evidence_of(hours)[where]

    assert seen(80, 82, 78) == Evidence(300, 240, 4_000)
    assert seen(0, 80, 80) == Evidence(100, 0, 4_000)
    assert seen(80, 79, 0, 0, 80) == Evidence(200, 159, 4_000)
    few = {
        THIS_HOUR: {where: {"first": 9}},
        THIS_HOUR - 1: {where: {"first": 9, "first_proven": 9}},
    }
    assert evidence_of(few)[where] == Evidence(18, 9)
    two = {THIS_HOUR: {where: {"sent": 2, "cost.USD": 5, "cost.EUR": 5}}}
    assert evidence_of(two)[where].cost is None


class _Town:
    """People whose chance of typing a code depends on the sender of their first message alone."""

    def __init__(self, seed: int, policy: OrderingPolicy) -> None:
        self.dice, self.policy, self.hour = Random(seed), policy, THIS_HOUR
        self.hours: dict[int, dict[Where, dict[str, int]]] = {}

    def live(self, hours: int, a_hour: int, chances: dict[str, float]) -> dict[str, int]:
        """How many got their first message from whom. The evidence is as young as in a process that
        looks now and then."""
        first = dict.fromkeys(chances, 0)
        evidence: dict[str, Evidence] = {}
        for _ in range(hours):
            for n in range(a_hour):
                if n % 10 == 0:
                    found = evidence_of(self.hours)
                    evidence = {where.sender: one for where, one in found.items()}
                plan = tuple(s for s in SENDERS if s.name in chances)
                place = order(plan, self.policy, self.dice, now=NOW, evidence=evidence)[0]
                name = place.sender.name
                first[name] += 1
                counters = self.hours.setdefault(self.hour, {}).setdefault(
                    Where("US", name), {"first": 0, "first_proven": 0, "sent": 0}
                )
                counters["first"] += 1
                counters["first_proven"] += self.dice.random() < chances[name]
            self.hour += 1
            self.hours.pop(self.hour - 25, None)
        return first


def test_a_lying_sender_is_demoted_and_a_healed_one_returns() -> None:
    town = _Town(3, OrderingPolicy(adaptive=True))
    well = {"short": 0.8, "long": 0.7}
    assert town.live(12, 200, well)["short"] > 0.9 * 12 * 200
    # It reports each message as delivered, and none arrives.
    town.live(3, 200, well | {"short": 0.0})
    assert town.live(6, 200, well | {"short": 0.0})["short"] <= 0.08 * 6 * 200
    town.live(12, 200, well)
    assert town.live(6, 200, well)["short"] > 0.85 * 6 * 200


def test_a_bad_sender_costs_few_messages_where_few_are_sent() -> None:
    town = _Town(5, OrderingPolicy(adaptive=True))
    chances = {"short": 0.05, "long": 0.75, "pool": 0.6}
    town.live(24, 8, chances)
    first = town.live(48, 8, chances)
    assert first["short"] <= 2 * 10 + 0.07 * 48 * 8 + 5
