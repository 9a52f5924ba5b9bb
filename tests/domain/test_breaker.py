"""Which route a failure closes, and what opens it again."""

from dataclasses import replace

import pytest

from service.domain.breaker import held, passed, routes_of, what_closed
from service.domain.plan import Sender, SenderKind
from service.domain.verification import (
    Accepted,
    Delivery,
    DeliveryStatus,
    Fault,
    ProviderError,
    Reason,
    Refused,
    Report,
)
from tests.domain.strategies import START, fresh

PROBE = Delivery(
    number=1,
    sender="short",
    kind=SenderKind.SHORT_CODE,
    reason=Reason.INITIAL,
    begun_at=START,
    outcome=Accepted(START, "m"),
    probe="range:x",
)


def _report(status: DeliveryStatus, fault: Fault | None = None, *codes: str) -> Report:
    errors = tuple(ProviderError(code, "") for code in codes)
    return Report(event_id="e", status=status, at=START, message_id="m", fault=fault, errors=errors)


@pytest.mark.parametrize("code", ["40020", "40333"])
def test_a_refusal_and_a_report_say_which_code_closed_it(code: str) -> None:
    errors = (ProviderError("1", ""), ProviderError(code, ""))
    refused = replace(PROBE, outcome=Refused(START, Fault.BLOCKED, errors))
    failed = _report(DeliveryStatus.SENDING_FAILED, Fault.BLOCKED, "1", code)
    assert what_closed(refused) == code
    assert what_closed(replace(PROBE, reports=(failed,))) == code


def test_what_a_breaker_held_back_closes_nothing() -> None:
    assert what_closed(replace(PROBE, outcome=held(START))) is None
    assert what_closed(PROBE) is None


def test_the_spend_limit_is_the_profiles_and_the_rest_is_the_ranges() -> None:
    sender = Sender(name="x", kind=SenderKind.NUMBER_POOL, messaging_profile_id="p")
    routes = routes_of("d", sender)
    assert routes.closed_by("40020") == "range:d"
    assert routes.closed_by("40333") == "profile:p"
    assert set(routes.names) == {"range:d", "profile:p"}


@pytest.mark.parametrize(
    ("status", "fault", "closes"),
    [
        (DeliveryStatus.QUEUED, None, False),
        (DeliveryStatus.SENT, None, True),
        (DeliveryStatus.DELIVERED, None, True),
        (DeliveryStatus.DELIVERY_FAILED, Fault.RECIPIENT, True),
        (DeliveryStatus.DELIVERY_FAILED, Fault.BLOCKED, False),
    ],
)
def test_a_message_that_left_has_passed(
    status: DeliveryStatus, fault: Fault | None, closes: bool
) -> None:
    v = fresh().with_delivery(replace(PROBE, reports=(_report(status, fault),)))
    assert passed(v) == ({"range:x": START} if closes else {})


def test_a_typed_code_has_passed_before_any_report() -> None:
    v = fresh().with_delivery(PROBE)
    assert passed(v) == {}
    assert passed(v, 1) == {"range:x": START}
    assert passed(fresh().with_delivery(replace(PROBE, probe=None)), 1) == {}
