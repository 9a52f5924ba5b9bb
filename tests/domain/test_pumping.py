"""The rule on SMS pumping, case by case."""

from ipaddress import ip_network

import pytest

from service.domain.ledger import Ledger
from service.domain.pumping import (
    Block,
    Dimension,
    Exemption,
    PumpingPolicy,
    SafeList,
    Standing,
    judge,
    usual_unproven,
    values_of,
)
from service.domain.recipient import parse_recipient
from service.domain.tally import DAY, HOUR, KEEP_PROVEN, KEEP_UNPROVEN, Count, Figures, Tally

NOW = 20_000 * DAY + 5 * HOUR
POLICY = PumpingPolicy()
PREFIX, COUNTRY = Dimension.PREFIX, Dimension.COUNTRY
FLOOR = POLICY.floors[PREFIX][0]
HOLD = POLICY.hold


def _hour(sent: int, proven: int = 0) -> Figures:
    return Figures(hour=Count(sent, proven), day=Count(sent, proven))


def _trips(figures: Figures, block: Block | None = None, dimension: Dimension = PREFIX) -> bool:
    found = judge({dimension: Standing(figures, block)}, POLICY, NOW)
    return found is not None and found.trips


def _block(until: int, strikes: int = 1, sent: int = 21, proven: int = 0) -> Block:
    return Block(
        until=until, strikes=strikes, window=3600, sent=sent, proven=proven, threshold=FLOOR
    )


def test_more_than_the_floor_trips() -> None:
    assert not _trips(_hour(FLOOR))
    assert _trips(_hour(FLOOR + 1))


def test_the_day_has_a_floor_of_its_own() -> None:
    daily = POLICY.floors[PREFIX][1]
    assert not _trips(Figures(day=Count(daily)))
    assert _trips(Figures(day=Count(daily + 1)))


def test_a_share_of_the_peak_takes_the_place_of_the_floor() -> None:
    peak = 300  # 60 of it is borne
    assert not _trips(Figures(hour=Count(60), peak_hour=peak))
    assert _trips(Figures(hour=Count(61), peak_hour=peak))


def test_what_is_usual_comes_with_each_proven_code() -> None:
    past = Count(sent=1_500, proven=1_000)
    usual = usual_unproven(past, POLICY)
    assert 0.5 < usual < 0.55
    borne = FLOOR + int(usual * 10)
    assert not _trips(Figures(hour=Count(10 + borne, 10), past=past))
    assert _trips(Figures(hour=Count(11 + borne, 10), past=past))


def test_chance_is_borne_where_there_is_much_traffic() -> None:
    past = Count(sent=200_000, proven=100_000)  # one unproven for each proven
    borne = int(100 + 6 * (100 * 2) ** 0.5 - 0.1)
    assert borne > 100 + FLOOR
    assert not _trips(Figures(hour=Count(100 + borne, 100), past=past))
    assert _trips(Figures(hour=Count(101 + borne, 100), past=past))


@pytest.mark.parametrize("past", [Count(), Count(10_000, 0), Count(0, 5)])
def test_nothing_in_the_past_allows_more_than_min_conversion(past: Count) -> None:
    most = (1 - POLICY.min_conversion) / POLICY.min_conversion
    assert 0 <= usual_unproven(past, POLICY) <= most


def test_a_hold_doubles_up_to_a_day_and_strikes_are_forgotten() -> None:
    tripped = _hour(FLOOR + 1)
    for strikes, hold in ((1, 2 * HOLD), (2, 4 * HOLD), (6, 64 * HOLD), (40, DAY)):
        found = judge({PREFIX: Standing(tripped, _block(NOW, strikes))}, POLICY, NOW)
        assert found is not None
        assert (found.block.strikes, found.block.until) == (strikes + 1, NOW + hold)
    found = judge({PREFIX: Standing(tripped, _block(NOW - DAY, 6))}, POLICY, NOW)
    assert found is not None
    assert (found.block.strikes, found.block.until) == (1, NOW + HOLD)


def test_on_probation_a_quarter_is_borne_and_proven_codes_bring_back_the_rest() -> None:
    block = _block(NOW)
    assert not _trips(_hour(FLOOR // 4), block)
    assert _trips(_hour(FLOOR // 4 + 1), block)
    trusted = Count(sent=10_000, proven=10_000)  # so that next to nothing is usual
    assert not _trips(Figures(hour=Count(100 + FLOOR, 100), past=trusted), block)
    assert _trips(Figures(hour=Count(102 + FLOOR, 100), past=trusted), block)


def test_a_rush_is_let_go_once_half_of_it_is_proven() -> None:
    block = _block(NOW + HOLD, sent=40)
    for proven, refused in ((0, True), (19, True), (20, False)):
        found = judge({PREFIX: Standing(_hour(0, proven), block)}, POLICY, NOW)
        assert (found is not None) == refused


def test_a_blocked_key_speaks_before_one_that_would_trip_and_the_narrowest_first() -> None:
    over = Figures(hour=Count(1_000))
    both = {COUNTRY: Standing(over), PREFIX: Standing(over)}
    found = judge(both, POLICY, NOW)
    assert found is not None
    assert found.dimension is PREFIX
    held = both | {COUNTRY: Standing(Figures(), _block(NOW + 1))}
    found = judge(held, POLICY, NOW)
    assert found is not None
    assert (found.dimension, found.trips) == (COUNTRY, False)


def test_consecutive_numbers_share_a_run() -> None:
    one, other = (
        values_of(parse_recipient(number), app="a", client_ip="2001:db8::1")
        for number in ("+447700900100", "+447700900199")
    )
    assert one == other
    assert one[Dimension.CLIENT] == "2001:db8::/64"
    assert Dimension.CLIENT not in values_of(
        parse_recipient("+447700900100"), app="a", client_ip=None
    )


@pytest.mark.parametrize(
    ("safe", "exemption"),
    [
        (SafeList(), None),
        (SafeList(countries=frozenset({"GB"})), Exemption.COUNTRY),
        (SafeList(prefixes=("+4477009", "+1")), Exemption.PREFIX),
        (SafeList(apps=frozenset({"a"})), Exemption.APP),
        (SafeList(clients=(ip_network("192.0.2.0/24"),)), Exemption.CLIENT),
    ],
)
def test_the_safe_list(safe: SafeList, exemption: Exemption | None) -> None:
    recipient = parse_recipient("+447700900100")
    assert safe.exempts(recipient, app="a", client_ip="192.0.2.9") is exemption
    other = parse_recipient("+33612345678")
    assert safe.exempts(other, app="b", client_ip="198.51.100.9") is None


def test_windows_slide_and_days_are_remembered() -> None:
    tally = Tally()
    tally.count(NOW, sent=5, proven=3)
    assert tally.figures(NOW + HOUR - 60_000).hour == Count(5, 3)
    assert tally.figures(NOW + HOUR).hour == Count()
    assert tally.figures(NOW + 23 * HOUR).day == Count(5, 3)
    assert tally.figures(NOW + DAY).day == Count()
    later = tally.figures(NOW + 14 * DAY)
    assert (later.past, later.peak_hour, later.peak_day) == (Count(5, 3), 3, 3)
    assert tally.figures(NOW + 15 * DAY) == Figures()


def test_a_ledger_forgets_idle_keys_and_keeps_proven_ones_longer() -> None:
    ledger = Ledger(POLICY)
    for n in range(500):
        ledger.start({PREFIX: f"p{n}"}, NOW)
    ledger.start({PREFIX: "proven"}, NOW)
    ledger.prove({PREFIX: "proven"}, NOW)
    ledger.start({PREFIX: "new"}, NOW + KEEP_UNPROVEN)
    assert len(ledger) == 2
    ledger.start({PREFIX: "newer"}, NOW + KEEP_PROVEN)
    assert len(ledger) == 1
