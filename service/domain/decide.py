"""``decide``: the decision table, as one pure function.

Rules for editors of this file:

* It is total: every verification, policy and instant has a decision, and it never raises.
* It sends nothing after a close, an opt-out or the budget; tests/domain/test_decide.py holds it to this.
* A delivery is looked at through its status and fault only, so the order of reports cannot matter.
* Every row of the table is one ``case`` or one early return; its reason is part of the HTTP contract.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.plan import Sender
from service.domain.verification import (
    FAILED_FOR_CERTAIN,
    Accepted,
    Delivery,
    DeliveryStatus,
    Fault,
    NotSent,
    Reason,
    Status,
    Uncertain,
    Verification,
)

# A right guess may still be on its way through the hash when the attempts are used up.
ATTEMPT_GRACE = 10_000
# Telnyx takes a scheduled message at least 5 minutes ahead (KB "schedule message"); the rest is
# for the request to get there.
SCHEDULE_AHEAD = 5 * 60_000 + 15_000
SCHEDULE_ACCURACY = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The numbers that decisions depend on. Durations are milliseconds."""

    max_deliveries: int = 4
    unconfirmed_grace: int = 15_000
    uncertain_grace: int = 5_000
    min_useful_life: int = 60_000
    max_retry_wait: int = 3_000


@dataclass(frozen=True, slots=True)
class Send:
    """Make a new delivery through this sender."""

    sender: Sender
    reason: Reason


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Ask Telnyx (GET) what became of this delivery."""

    delivery: int
    reason: Reason = Reason.REPORT_TIMEOUT


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before ``until`` (milliseconds since the epoch)."""

    until: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Close:
    """The end: nothing is sent any more."""

    status: Status
    reason: Reason


Decision = Send | Reconcile | Wait | Close


def decide(verification: Verification, policy: Policy, now: int) -> Decision:
    """What to do next for a verification. ``now`` is in milliseconds since the epoch."""
    decision = _decide(verification, policy, now)
    send_at = verification.send_at
    if isinstance(decision, Send) and now < send_at < now + SCHEDULE_AHEAD:
        # Too near for Telnyx to hold it: it leaves from here, at its time.
        return Wait(send_at, Reason.SCHEDULED)
    return decision


def _decide(v: Verification, policy: Policy, now: int) -> Decision:
    if v.status is not Status.PENDING:
        return Close(v.status, v.closed_reason or Reason.CANCELED)
    if now >= v.expires_at:
        return Close(Status.EXPIRED, Reason.EXPIRED)
    barred = _barred(v)
    if barred is not None and v.withheld is None:
        return Close(Status.UNDELIVERABLE, barred)
    if v.attempts_remaining == 0:
        return _attempts_used_up(v, now)
    if v.silence is not None:
        return Wait(v.expires_at, v.silence)
    if not v.deliveries:
        return Send(v.plan[0], Reason.INITIAL) if v.plan else _used_up(v)
    if v.resend_pending and v.messages < policy.max_deliveries:
        return Send(_next_wrapping(v), Reason.RESEND)
    if any(d.status is DeliveryStatus.DELIVERED for d in v.round):
        return Wait(v.expires_at, Reason.DELIVERED)
    decision = _follow_up(v, v.deliveries[-1], policy, now)
    if isinstance(decision, Wait):
        return Wait(min(decision.until, v.expires_at), decision.reason)
    return decision


def _barred(v: Verification) -> Reason | None:
    """Why no message may leave, whatever else is true."""
    if v.opted_out or any(d.fault is Fault.OPTED_OUT for d in v.deliveries):
        return Reason.RECIPIENT_OPTED_OUT
    if any(d.fault is Fault.BLOCKED for d in v.deliveries):
        return Reason.PROVIDER_BLOCKED
    return None


def _attempts_used_up(v: Verification, now: int) -> Decision:
    until = v.last_attempt_at + ATTEMPT_GRACE
    if now < until:
        return Wait(min(until, v.expires_at), Reason.ATTEMPTS_EXHAUSTED)
    return Close(Status.LOCKED, Reason.ATTEMPTS_EXHAUSTED)


def _follow_up(v: Verification, last: Delivery, policy: Policy, now: int) -> Decision:
    match last.status:
        case DeliveryStatus.REJECTED if isinstance(last.outcome, NotSent):
            return _provider_busy(v, last, last.outcome, policy, now)
        case (
            DeliveryStatus.REJECTED | DeliveryStatus.DELIVERY_FAILED | DeliveryStatus.SENDING_FAILED
        ):
            return _failed(v, last, policy, now)
        case DeliveryStatus.UNCERTAIN | DeliveryStatus.SENDING if last.report is None:
            since = last.outcome.at if isinstance(last.outcome, Uncertain) else last.begun_at
            since = max(since, v.send_at)
            return _after(since + policy.uncertain_grace, Reason.UNCERTAIN, v, policy, now)
        case DeliveryStatus.DELIVERY_UNCONFIRMED:
            until = last.updated_at + policy.unconfirmed_grace
            return _after(until, Reason.DELIVERY_UNCONFIRMED, v, policy, now)
        case _:
            return _await_report(v, last, policy, now)


def _provider_busy(
    v: Verification, last: Delivery, outcome: NotSent, policy: Policy, now: int
) -> Decision:
    tries = sum(d.sender == last.sender and isinstance(d.outcome, NotSent) for d in v.round)
    if tries > 1:
        return _fall_back(v, Reason.PROVIDER_UNAVAILABLE, policy, now)
    until = outcome.at + min(outcome.retry_after, policy.max_retry_wait)
    if now < until:
        return Wait(until, Reason.PROVIDER_UNAVAILABLE)
    same = next((s for s in v.plan if s.name == last.sender), None)
    if same is None or v.messages >= policy.max_deliveries:
        return _used_up(v)
    return Send(same, Reason.PROVIDER_UNAVAILABLE)


def _failed(v: Verification, last: Delivery, policy: Policy, now: int) -> Decision:
    if last.fault is Fault.RECIPIENT:
        return _fall_back(v, Reason.RECIPIENT_UNREACHABLE, policy, now, sms=False)
    if last.fault is Fault.SPEND:
        return _used_up(v, Reason.SPEND_LIMIT)
    refused = last.status is DeliveryStatus.REJECTED
    reason = Reason.SENDER_REJECTED if refused else Reason.DELIVERY_FAILED
    return _fall_back(v, reason, policy, now)


def _await_report(v: Verification, last: Delivery, policy: Policy, now: int) -> Decision:
    timeout = next((s.report_timeout for s in v.plan if s.name == last.sender), 0)
    queueing = last.outcome.wait_seconds if isinstance(last.outcome, Accepted) else 0.0
    if last.report is None and queueing * 1000 > timeout:
        return _fall_back(v, Reason.QUEUED_TOO_LONG, policy, now)
    leaves = v.send_at + SCHEDULE_ACCURACY if v.send_at else 0
    deadline = max(last.accepted_at, leaves) + timeout
    if now < deadline:
        return Wait(deadline, Reason.AWAITING_REPORT)
    if last.message_id is not None and (last.reconciled_at or 0) < deadline:
        return Reconcile(last.number)
    return _fall_back(v, Reason.REPORT_TIMEOUT, policy, now)


def _after(until: int, reason: Reason, v: Verification, policy: Policy, now: int) -> Decision:
    return Wait(until, reason) if now < until else _fall_back(v, reason, policy, now)


def _fall_back(
    v: Verification, reason: Reason, policy: Policy, now: int, *, sms: bool = True
) -> Decision:
    """Send through the next sender that was not tried; without SMS where the recipient gets none."""
    tried = {d.sender for d in v.deliveries}
    candidates = [s for s in v.plan if s.name not in tried and (sms or not s.kind.is_sms)]
    affordable = v.messages < policy.max_deliveries
    useful = v.expires_at - now >= policy.min_useful_life
    if candidates and affordable and useful:
        return Send(candidates[0], reason)
    if not sms:
        return Close(Status.UNDELIVERABLE, Reason.RECIPIENT_UNREACHABLE)
    return _used_up(v)


def _used_up(v: Verification, reason: Reason = Reason.PLAN_EXHAUSTED) -> Decision:
    if all(d.status in FAILED_FOR_CERTAIN for d in v.deliveries):
        return Close(Status.UNDELIVERABLE, reason)
    return Wait(v.expires_at, reason)


def _next_wrapping(v: Verification) -> Sender:
    """The sender after the last one, wrapping round; those that Telnyx refused come last."""
    names = [s.name for s in v.plan]
    last = v.deliveries[-1].sender
    start = names.index(last) + 1 if last in names else 0
    ordered: Sequence[Sender] = (*v.plan[start:], *v.plan[:start])
    refused = {d.sender for d in v.deliveries if d.fault is Fault.SENDER}
    return next((s for s in ordered if s.name not in refused), ordered[0])
