"""What must hold of ``decide`` for every verification, and each row of the decision table."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.breaker import held
from service.domain.decide import (
    SCHEDULE_ACCURACY,
    SCHEDULE_AHEAD,
    Close,
    Decision,
    Policy,
    Reconcile,
    Send,
    Wait,
    decide,
)
from service.domain.plan import SenderKind
from service.domain.verification import (
    Accepted,
    Delivery,
    DeliveryStatus,
    Fault,
    HeldBack,
    Notice,
    NotSent,
    Outcome,
    Reason,
    Refused,
    Report,
    Status,
    Uncertain,
    Verification,
)
from tests.domain.strategies import (
    SENDERS,
    START,
    TTL,
    fresh,
    instants,
    policies,
    reports,
    verifications,
)

PAGE = Path(__file__).parents[2] / "service" / "README.md"
BEGIN, END = "<!-- decision table: begin -->", "<!-- decision table: end -->"
POLICY = Policy()
NOW = START + 1_000


@given(verifications(), policies, instants)
def test_it_is_total(v: Verification, policy: Policy, now: int) -> None:
    assert isinstance(decide(v, policy, now), Send | Reconcile | Wait | Close)


@given(verifications(), policies, instants)
def test_nothing_is_sent_after_a_close_an_opt_out_or_the_end(
    v: Verification, policy: Policy, now: int
) -> None:
    if v.status is not Status.PENDING or v.opted_out or now >= v.expires_at:
        assert isinstance(decide(v, policy, now), Close if v.withheld is None else Close | Wait)


@given(verifications(status=Status.PENDING), policies, instants)
def test_no_fallback_goes_round_an_opt_out(v: Verification, policy: Policy, now: int) -> None:
    if any(d.fault is Fault.OPTED_OUT for d in v.deliveries):
        assert isinstance(decide(v, policy, now), Close if v.withheld is None else Close | Wait)


@given(verifications(status=Status.PENDING), st.sampled_from(Reason), policies, instants)
def test_what_is_withheld_sends_nothing_and_stays_open_to_its_end(
    v: Verification, reason: Reason, policy: Policy, now: int
) -> None:
    decision = decide(replace(v, withheld=reason), policy, now)
    if isinstance(decision, Close):
        assert decision.status in (Status.EXPIRED, Status.LOCKED)
    else:
        assert isinstance(decision, Wait)


@given(verifications(), policies, instants)
def test_nothing_is_sent_to_a_test_number(v: Verification, policy: Policy, now: int) -> None:
    tested = replace(v, test=True, deliveries=(), notice=None)
    assert isinstance(decide(tested, policy, now), Close | Wait)


@given(verifications(status=Status.PENDING), policies, instants)
def test_nothing_is_sent_beyond_the_budget(v: Verification, policy: Policy, now: int) -> None:
    if v.messages >= policy.max_deliveries and v.deliveries:
        assert not isinstance(decide(v, policy, now), Send)


@given(verifications(status=Status.PENDING), policies, instants)
def test_every_pending_verification_is_due_by_its_expiry(
    v: Verification, policy: Policy, now: int
) -> None:
    decision = decide(v, policy, now)
    if isinstance(decision, Wait):
        assert now < decision.until <= v.expires_at


@given(verifications(status=Status.PENDING), policies, instants)
def test_a_notice_is_sent_at_its_time_or_early_enough_to_be_held(
    v: Verification, policy: Policy, now: int
) -> None:
    if isinstance(decide(v, policy, now), Send):
        assert not now < v.send_at < now + SCHEDULE_AHEAD


@given(verifications(status=Status.PENDING), policies, instants)
def test_a_reconcile_names_a_delivery_with_a_message(
    v: Verification, policy: Policy, now: int
) -> None:
    decision = decide(v, policy, now)
    if isinstance(decision, Reconcile):
        assert v.deliveries[decision.delivery - 1].message_id is not None


@given(
    st.lists(reports(), min_size=1, max_size=4, unique_by=lambda r: r.event_id),
    st.randoms(use_true_random=False),
    policies,
    instants,
)
def test_the_order_and_repetition_of_reports_do_not_matter(
    found: list[Report], random: object, policy: Policy, now: int
) -> None:
    shuffled = [*found, found[0]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = two = _after(Accepted(START, "m"))
    for report in found:
        one = one.with_reports(1, report)
    for report in shuffled:
        two = two.with_reports(1, report)
    assert one == two
    assert decide(one, policy, now) == decide(two, policy, now)


def _delivery(number: int, outcome: Outcome | None, **changes: object) -> Delivery:
    sender = SENDERS[number - 1]
    delivery = Delivery(
        number=number,
        sender=sender.name,
        kind=sender.kind,
        reason=Reason.INITIAL if number == 1 else Reason.DELIVERY_FAILED,
        begun_at=START,
        outcome=outcome,
    )
    return replace(delivery, **changes)  # type: ignore[arg-type]


def _after(*outcomes: Outcome | None, **changes: object) -> Verification:
    deliveries = tuple(_delivery(n, outcome) for n, outcome in enumerate(outcomes, start=1))
    return fresh(deliveries=deliveries, **changes)


def _reported(status: DeliveryStatus, fault: Fault | None = None, at: int = START) -> Verification:
    report = Report(event_id="e", status=status, at=at, message_id="m", fault=fault)
    return _after(Accepted(START, "m")).with_reports(1, report)


def _refused(fault: Fault) -> Verification:
    return _after(Refused(START, fault))


_HOUR = 3_600_000


def _held(**changes: object) -> Verification:
    """A notice for an hour later."""
    notice, expires_at = Notice("t", START + _HOUR), START + _HOUR + TTL
    return fresh(notice=notice, expires_at=expires_at, **changes)


_WITH_CHAT = (*SENDERS[:1], SENDERS[3])
_UNREACHABLE = _refused(Fault.RECIPIENT)
_BUSY = NotSent(START, 1_000)
_EXPIRY = START + TTL

TABLE: dict[str, tuple[Verification, int, Decision]] = {
    "new, nothing sent": (fresh(), NOW, Send(SENDERS[0], Reason.INITIAL)),
    "refused: sender's fault": (
        _refused(Fault.SENDER),
        NOW,
        Send(SENDERS[1], Reason.SENDER_REJECTED),
    ),
    "refused: recipient cannot get SMS, no other way": (
        _UNREACHABLE,
        NOW,
        Close(Status.UNDELIVERABLE, Reason.RECIPIENT_UNREACHABLE),
    ),
    "refused: recipient cannot get SMS, WhatsApp in the plan": (
        replace(_UNREACHABLE, plan=_WITH_CHAT),
        NOW,
        Send(SENDERS[3], Reason.RECIPIENT_UNREACHABLE),
    ),
    "reported: recipient cannot get SMS": (
        _reported(DeliveryStatus.DELIVERY_FAILED, Fault.RECIPIENT),
        NOW,
        Close(Status.UNDELIVERABLE, Reason.RECIPIENT_UNREACHABLE),
    ),
    "refused: opted out": (
        _refused(Fault.OPTED_OUT),
        NOW,
        Close(Status.UNDELIVERABLE, Reason.RECIPIENT_OPTED_OUT),
    ),
    "a STOP was recorded": (
        _after(Accepted(START, "m"), opted_out=True),
        NOW,
        Close(Status.UNDELIVERABLE, Reason.RECIPIENT_OPTED_OUT),
    ),
    "429: wait as told": (
        _after(_BUSY),
        START + 999,
        Wait(START + 1_000, Reason.PROVIDER_UNAVAILABLE),
    ),
    "429: at most a few seconds": (
        _after(NotSent(START, 60_000)),
        START + 1,
        Wait(START + POLICY.max_retry_wait, Reason.PROVIDER_UNAVAILABLE),
    ),
    "429: the same sender once more": (
        _after(_BUSY),
        NOW,
        Send(SENDERS[0], Reason.PROVIDER_UNAVAILABLE),
    ),
    "429 twice: the next sender": (
        fresh(
            deliveries=(
                _delivery(1, _BUSY),
                _delivery(2, _BUSY, sender="short", kind=SenderKind.SHORT_CODE),
            )
        ),
        NOW,
        Send(SENDERS[1], Reason.PROVIDER_UNAVAILABLE),
    ),
    "uncertain: the grace": (
        _after(Uncertain(START)),
        NOW,
        Wait(START + POLICY.uncertain_grace, Reason.UNCERTAIN),
    ),
    "uncertain: the grace is over": (
        _after(Uncertain(START)),
        START + POLICY.uncertain_grace,
        Send(SENDERS[1], Reason.UNCERTAIN),
    ),
    "uncertain, but its report came": (
        _after(Uncertain(START)).with_reports(
            1, Report(event_id="e", status=DeliveryStatus.DELIVERED, at=START, message_id="m")
        ),
        START + POLICY.uncertain_grace,
        Wait(_EXPIRY, Reason.DELIVERED),
    ),
    "reported delivery_failed": (
        _reported(DeliveryStatus.DELIVERY_FAILED, Fault.OTHER),
        NOW,
        Send(SENDERS[1], Reason.DELIVERY_FAILED),
    ),
    "reported sending_failed": (
        _reported(DeliveryStatus.SENDING_FAILED, Fault.SENDER),
        NOW,
        Send(SENDERS[1], Reason.DELIVERY_FAILED),
    ),
    "reported delivery_unconfirmed: the grace": (
        _reported(DeliveryStatus.DELIVERY_UNCONFIRMED),
        NOW,
        Wait(START + POLICY.unconfirmed_grace, Reason.DELIVERY_UNCONFIRMED),
    ),
    "reported delivery_unconfirmed: the grace is over": (
        _reported(DeliveryStatus.DELIVERY_UNCONFIRMED),
        START + POLICY.unconfirmed_grace,
        Send(SENDERS[1], Reason.DELIVERY_UNCONFIRMED),
    ),
    "no final report yet": (
        _after(Accepted(START, "m")),
        NOW,
        Wait(START + 30_000, Reason.AWAITING_REPORT),
    ),
    "no final report by the deadline": (
        _after(Accepted(START, "m")),
        START + 30_000,
        Reconcile(1),
    ),
    "still none after the GET": (
        _after(Accepted(START, "m")).with_reconciled(1, START + 30_000),
        START + 30_000,
        Send(SENDERS[1], Reason.REPORT_TIMEOUT),
    ),
    "it leaves too late": (
        _after(Accepted(START, "m", wait_seconds=3_600)),
        NOW,
        Send(SENDERS[1], Reason.QUEUED_TOO_LONG),
    ),
    "suspected traffic inflation, or the spend cap": (
        _reported(DeliveryStatus.DELIVERY_FAILED, Fault.BLOCKED),
        NOW,
        Close(Status.UNDELIVERABLE, Reason.PROVIDER_BLOCKED),
    ),
    "reported delivered": (
        _reported(DeliveryStatus.DELIVERED),
        NOW,
        Wait(_EXPIRY, Reason.DELIVERED),
    ),
    "delivered, and a resend asked for": (
        replace(_reported(DeliveryStatus.DELIVERED), resends_asked=1),
        NOW,
        Send(SENDERS[1], Reason.RESEND),
    ),
    "a resend wraps round to the first": (
        _after(Accepted(START, "a"), Accepted(START, "b"), Accepted(START, "c"), resends_asked=1),
        NOW,
        Send(SENDERS[0], Reason.RESEND),
    ),
    "the plan is used up, one may still arrive": (
        _after(Accepted(START, "a"), Refused(START, Fault.SENDER), Refused(START, Fault.SENDER)),
        NOW,
        Wait(_EXPIRY, Reason.PLAN_EXHAUSTED),
    ),
    "the plan is used up, all failed for certain": (
        _after(*[Refused(START, Fault.SENDER)] * 3),
        NOW,
        Close(Status.UNDELIVERABLE, Reason.PLAN_EXHAUSTED),
    ),
    "a spending cap holds back the next one, one may still arrive": (
        _after(Accepted(START, "a"), HeldBack(START, Fault.SPEND)),
        NOW,
        Wait(_EXPIRY, Reason.SPEND_LIMIT),
    ),
    "a spending cap holds back the next one, all failed for certain": (
        _after(Refused(START, Fault.SENDER), HeldBack(START, Fault.SPEND)),
        NOW,
        Close(Status.UNDELIVERABLE, Reason.SPEND_LIMIT),
    ),
    "a breaker is open": (
        _after(held(START)),
        NOW,
        Close(Status.UNDELIVERABLE, Reason.PROVIDER_BLOCKED),
    ),
    "too little of the code's life is left": (
        _after(Uncertain(START)),
        _EXPIRY - POLICY.min_useful_life + 1,
        Wait(_EXPIRY, Reason.PLAN_EXHAUSTED),
    ),
    "the attempts are used up, one may be under way": (
        _after(Accepted(START, "m"), attempts_used=5, last_attempt_at=START),
        NOW,
        Wait(START + 10_000, Reason.ATTEMPTS_EXHAUSTED),
    ),
    "the attempts are used up": (
        _after(Accepted(START, "m"), attempts_used=5, last_attempt_at=START),
        START + 10_000,
        Close(Status.LOCKED, Reason.ATTEMPTS_EXHAUSTED),
    ),
    "a notice for later: Telnyx holds it": (_held(), NOW, Send(SENDERS[0], Reason.INITIAL)),
    "a notice for soon: too near for Telnyx to hold": (
        _held(),
        START + _HOUR - SCHEDULE_AHEAD + 1,
        Wait(START + _HOUR, Reason.SCHEDULED),
    ),
    "a held notice: no report before its time": (
        _held(deliveries=_after(Accepted(START, "m")).deliveries),
        NOW,
        Wait(START + _HOUR + SCHEDULE_ACCURACY + 30_000, Reason.AWAITING_REPORT),
    ),
    "withheld: the recipient opted out": (
        fresh(withheld=Reason.RECIPIENT_OPTED_OUT),
        NOW,
        Wait(_EXPIRY, Reason.RECIPIENT_OPTED_OUT),
    ),
    "withheld: the country gets no codes": (
        fresh(withheld=Reason.COUNTRY_NOT_ALLOWED),
        NOW,
        Wait(_EXPIRY, Reason.COUNTRY_NOT_ALLOWED),
    ),
    "withheld: the number type gets no codes": (
        fresh(withheld=Reason.NUMBER_TYPE_NOT_ALLOWED),
        NOW,
        Wait(_EXPIRY, Reason.NUMBER_TYPE_NOT_ALLOWED),
    ),
    "withheld: SMS pumping is suspected": (
        fresh(withheld=Reason.SUSPECTED_FRAUD),
        NOW,
        Wait(_EXPIRY, Reason.SUSPECTED_FRAUD),
    ),
    "withheld: a limit of the recipient is used up": (
        fresh(withheld=Reason.RATE_LIMITED),
        NOW,
        Wait(_EXPIRY, Reason.RATE_LIMITED),
    ),
    "a test number: nothing is sent": (fresh(test=True), NOW, Wait(_EXPIRY, Reason.TEST_NUMBER)),
    "expired": (_after(Accepted(START, "m")), _EXPIRY, Close(Status.EXPIRED, Reason.EXPIRED)),
    "approved": (
        fresh(status=Status.APPROVED, closed_reason=Reason.APPROVED),
        NOW,
        Close(Status.APPROVED, Reason.APPROVED),
    ),
    "canceled": (
        fresh(status=Status.CANCELED, closed_reason=Reason.SUPERSEDED),
        NOW,
        Close(Status.CANCELED, Reason.SUPERSEDED),
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_each_row_of_the_table(row: str) -> None:
    v, now, decision = TABLE[row]
    assert decide(v, POLICY, now) == decision


def test_the_architecture_page_shows_this_table() -> None:
    """To write it anew: python -m tests.domain.test_decide."""
    assert _documented() in PAGE.read_text(encoding="utf-8")


def _documented() -> str:
    rows = [f"| {name} | {_in_words(decision)} |" for name, (_, _, decision) in TABLE.items()]
    return "\n".join([BEGIN, "", "| situation | decision |", "| --- | --- |", *rows, "", END])


def _in_words(decision: Decision) -> str:
    match decision:
        case Send():
            return f"Send({decision.sender.name}), `{decision.reason}`"
        case Reconcile():
            return f"Reconcile(delivery {decision.delivery}), `{decision.reason}`"
        case Wait():
            return f"Wait, `{decision.reason}`"
        case Close():
            return f"Close({decision.status}), `{decision.reason}`"


def _write() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + _documented() + rest.partition(END)[2], encoding="utf-8")


def test_every_reason_of_the_table_is_reached() -> None:
    reached = {decision.reason for _, _, decision in TABLE.values()}
    # A cancel by the caller is recorded by its script; the decision only repeats it.
    assert reached | {Reason.CANCELED} == set(Reason)


if __name__ == "__main__":
    _write()
