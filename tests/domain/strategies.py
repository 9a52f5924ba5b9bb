"""Verifications with any history, for property tests."""

from dataclasses import replace

from hypothesis import strategies as st

from service.domain.decide import Policy
from service.domain.plan import Sender, SenderKind
from service.domain.verification import (
    Accepted,
    Delivery,
    DeliveryStatus,
    Fault,
    HeldBack,
    Notice,
    NotSent,
    ProviderError,
    Reason,
    Refused,
    Report,
    Status,
    Uncertain,
    Verification,
)

START = 1_800_000_000_000
TTL = 300_000
SENDERS = (
    Sender(name="short", kind=SenderKind.SHORT_CODE, from_="12345"),
    Sender(name="long", kind=SenderKind.LONG_CODE, from_="+18445550001"),
    Sender(name="pool", kind=SenderKind.NUMBER_POOL, messaging_profile_id="p"),
    Sender(name="chat", kind=SenderKind.WHATSAPP, from_="+18445550002"),
)

instants = st.integers(START - 1_000, START + TTL + 1_000)
policies = st.builds(
    Policy,
    max_deliveries=st.integers(1, 6),
    unconfirmed_grace=st.integers(0, 60_000),
    uncertain_grace=st.integers(0, 60_000),
    min_useful_life=st.integers(0, 120_000),
    max_retry_wait=st.integers(0, 10_000),
)
errors = st.lists(
    st.builds(ProviderError, code=st.sampled_from(["40001", "40008"]), title=st.just("t")),
    max_size=2,
).map(tuple)
outcomes = st.one_of(
    st.builds(
        Accepted,
        at=instants,
        message_id=st.just("m"),
        wait_seconds=st.sampled_from([0.0, 1.0, 14_400.0]),
    ),
    st.builds(Refused, at=instants, fault=st.sampled_from(Fault), errors=errors),
    st.builds(HeldBack, at=instants, fault=st.sampled_from(Fault), errors=errors),
    st.builds(NotSent, at=instants, retry_after=st.integers(0, 60_000), errors=errors),
    st.builds(Uncertain, at=instants, errors=errors),
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    status = draw(
        st.sampled_from(
            [
                s
                for s in DeliveryStatus
                if s not in (DeliveryStatus.REJECTED, DeliveryStatus.UNCERTAIN)
            ]
        )
    )
    failed = status in (DeliveryStatus.DELIVERY_FAILED, DeliveryStatus.SENDING_FAILED)
    return Report(
        event_id=draw(st.uuids()).hex,
        status=status,
        at=draw(instants),
        message_id="m",
        fault=draw(st.sampled_from(Fault)) if failed else None,
    )


def fresh(**changes: object) -> Verification:
    v = Verification(
        id="ver_00" + "0" * 32,
        app="default",
        purpose="login",
        country="US",
        masked="+1********00",
        recipient_id="0" * 32,
        sealed="",
        key_id="",
        plan=SENDERS[:3],
        created_at=START,
        expires_at=START + TTL,
        attempts_allowed=5,
        code_length=6,
    )
    return replace(v, **changes)  # type: ignore[arg-type]


@st.composite
def verifications(draw: st.DrawFn, *, status: Status | None = None) -> Verification:
    plan = tuple(draw(st.permutations(SENDERS)))[: draw(st.integers(1, len(SENDERS)))]
    deliveries = []
    for number in range(1, draw(st.integers(0, 6)) + 1):
        sender = draw(st.sampled_from(plan))
        reason = Reason.INITIAL if number == 1 else draw(st.sampled_from(Reason))
        deliveries.append(
            Delivery(
                number=number,
                sender=sender.name,
                kind=sender.kind,
                reason=reason,
                begun_at=draw(instants),
                outcome=draw(st.none() | outcomes),
                reports=tuple(draw(st.lists(reports(), max_size=3))),
                reconciled_at=draw(st.none() | instants),
            )
        )
    return fresh(
        plan=plan,
        status=status or draw(st.sampled_from(Status)),
        attempts_used=draw(st.integers(0, 5)),
        last_attempt_at=draw(instants),
        resends_asked=draw(st.integers(0, 3)),
        opted_out=draw(st.booleans()),
        withheld=draw(st.none() | st.just(Reason.RATE_LIMITED)),
        notice=draw(
            st.none()
            | st.builds(
                Notice, text=st.just("t"), send_at=st.just(0) | st.integers(START, START + TTL)
            )
        ),
        deliveries=tuple(deliveries),
    )
