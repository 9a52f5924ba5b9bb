"""What the rules say of a line, whatever Telnyx said of it."""

from datetime import date, timedelta

import pytest

from service.domain.line import Line, LookupPolicy, dump_line, judge_line, load_line
from service.domain.recipient import NumberType, parse_recipient
from service.domain.rules import Action, Rule, Rules
from service.telnyx.line import read_line
from service.telnyx.resources import NumberLookup
from tests.domain.strategies import START

RECIPIENT = parse_recipient("+12025550123")
RULES = Rules({"US": Action.MONITOR}, {NumberType.VOIP: Action.BLOCK})
TODAY = date(2027, 1, 15)  # START


@pytest.mark.parametrize("action", Action)
def test_a_look_up_fails_as_configured(action: Action) -> None:
    policy = LookupPolicy(on_failure=action)
    found = [(f.rule, f.action) for f in judge_line(RECIPIENT, None, RULES, policy, START)]
    assert found == ([] if action is Action.ALLOW else [(Rule.LOOKUP, action)])


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        (Line(), []),
        (Line(NumberType.MOBILE), []),
        (Line(NumberType.VOIP), [Rule.NUMBER_TYPE]),
        (Line(None, TODAY), [Rule.RECENTLY_PORTED]),
        (Line(None, TODAY - timedelta(days=7)), [Rule.RECENTLY_PORTED]),
        (Line(None, TODAY - timedelta(days=8)), []),
        (Line(NumberType.VOIP, TODAY), [Rule.NUMBER_TYPE, Rule.RECENTLY_PORTED]),
    ],
)
def test_one_set_of_rules_for_what_is_looked_up(line: Line, rules: list[Rule]) -> None:
    policy = LookupPolicy(ported_days=7)
    assert [f.rule for f in judge_line(RECIPIENT, line, RULES, policy, START)] == rules
    assert load_line(dump_line(line)) == line


def test_without_days_no_port_counts() -> None:
    assert judge_line(RECIPIENT, Line(None, TODAY), RULES, LookupPolicy(), START) == ()


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({}, Line()),
        ({"carrier": None, "portability": None}, Line()),
        ({"carrier": {"type": "unknown"}, "portability": {"ported_date": ""}}, Line()),
        ({"carrier": {"type": "fixed line"}}, Line(NumberType.LANDLINE)),
        ({"carrier": {"type": "fixed line or mobile"}}, Line(NumberType.MOBILE)),
        ({"portability": {"ported_date": "2027-01-15"}}, Line(None, TODAY)),
        ({"portability": {"ported_date": "2027-01-15T08:00:00Z"}}, Line(None, TODAY)),
        ({"portability": {"ported_date": "yesterday"}}, Line()),
    ],
)
def test_telnyx_may_leave_out_anything(record: dict[str, object], line: Line) -> None:
    assert read_line(NumberLookup.model_validate(record)) == line
