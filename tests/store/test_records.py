"""What is written of a verification reads back as it was, in both forms, and in the form of before."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.code import Alphabet
from service.domain.pumping import Dimension, Exemption, Tracked
from service.domain.transaction import Transaction
from service.domain.verification import (
    Accepted,
    DeliveryStatus,
    Fault,
    HeldBack,
    Notice,
    NotSent,
    Outcome,
    ProviderError,
    Refused,
    Report,
    Uncertain,
    Verification,
)
from service.store.records import (
    dump,
    dump_base,
    dump_delivery,
    dump_outcome,
    dump_report,
    load,
    read_base,
)
from tests.store.stores import NOW, SENDER, make_delivery, verification

WORDS = st.text(max_size=5)
TIMES = st.integers(NOW - 1_000, NOW + 600_000)
DIGESTS = st.binary(min_size=16, max_size=16).map(bytes.hex)
TRACKED = st.builds(
    Tracked,
    st.dictionaries(st.sampled_from(list(Dimension)), DIGESTS, min_size=1),
    st.none() | st.sampled_from([str(exemption) for exemption in Exemption]),
    st.booleans(),
)
ERRORS = st.lists(st.builds(ProviderError, WORDS, WORDS), max_size=2).map(tuple)
FAULTS = st.sampled_from(list(Fault))
OUTCOMES = (
    st.builds(Accepted, TIMES, WORDS, st.floats(0, 10))
    | st.builds(Refused, TIMES, FAULTS, ERRORS)
    | st.builds(HeldBack, TIMES, FAULTS, ERRORS, st.integers(0, 9))
    | st.builds(NotSent, TIMES, st.integers(0, 9), ERRORS)
    | st.builds(Uncertain, TIMES, ERRORS)
)
REPORTS = st.builds(
    Report,
    event_id=st.just("e"),
    status=st.sampled_from(list(DeliveryStatus)),
    at=TIMES,
    message_id=WORDS,
    fault=st.none() | FAULTS,
    errors=ERRORS,
    cost=st.none() | WORDS,
    currency=st.none() | WORDS,
    carrier=st.none() | WORDS,
    parts=st.integers(1, 9),
)
VERIFICATIONS = st.fixed_dictionaries(
    {},
    optional={
        "tracked": TRACKED,
        "metadata": st.dictionaries(WORDS, WORDS, max_size=2),
        "alphabet": st.sampled_from(list(Alphabet)),
        "clients": st.lists(DIGESTS, max_size=2).map(tuple),
        "transaction": st.builds(Transaction, WORDS, WORDS, WORDS),
        "notice": st.builds(Notice, WORDS, TIMES),
        "locale": WORDS,
        "bound": WORDS,
        "price": st.integers(0, 9),
        "test": st.booleans(),
        "chosen": st.booleans(),
    },
).map(lambda changes: verification(**changes))
ID = verification().id
both = pytest.mark.parametrize("short", [True, False])


def _fields(v: Verification, *, short: bool, **further: str) -> dict[str, str]:
    base, more = dump_base(v, short=short)
    return {
        "base": base,
        **({"more": more} if more else {}),
        "app": v.app,
        "expires_at": str(v.expires_at),
        "attempts_allowed": str(v.attempts_allowed),
        "status": v.status,
        "rev": str(v.rev),
        "resend_after": str(v.resend_after),
        **further,
    }


def _load(fields: Mapping[str, str]) -> Verification:
    return load(ID, fields, {"long": SENDER})


def _grown(text: str) -> str:
    """As a newer release may write it."""
    found: Any = json.loads(text)
    return dump({**found, "new": [1]} if isinstance(found, dict) else [*found, {"new": 1}])


@both
@given(v=VERIFICATIONS)
def test_a_start_reads_back(v: Verification, short: bool) -> None:
    fields = _fields(v, short=short)
    assert load(v.id, fields, {"long": SENDER}) == v
    assert read_base(fields)["recipient_id"] == v.recipient_id


@both
@given(outcome=OUTCOMES, report=REPORTS, probe=st.none() | WORDS, begun_at=TIMES)
def test_a_delivery_reads_back(
    outcome: Outcome, report: Report, probe: str | None, begun_at: int, short: bool
) -> None:
    delivery = dataclasses.replace(make_delivery(1), probe=probe, begun_at=begun_at)
    since = NOW if short else None
    told, more = dump_report(report, short=short)
    fields = {
        "d1": dump_delivery(delivery, since=since),
        "o1": dump_outcome(outcome, since=since),
        "r1:e": told,
        **({"x1:e": more} if more else {}),
    }
    expected = dataclasses.replace(delivery, outcome=outcome, reports=(report,))
    assert _load(_fields(verification(), short=short, **fields)).deliveries == (expected,)


@given(tracked=TRACKED)
def test_what_was_written_with_names_and_hex_digits_still_reads(tracked: Tracked) -> None:
    fields = _fields(verification(tracked=tracked), short=False)
    fields["more"] = dump(json.loads(fields["more"]) | {"tracked": tracked})
    assert _load(fields).tracked == tracked


@both
def test_what_a_newer_release_adds_at_the_end_is_left_out(short: bool) -> None:
    """Where all that there is today is told: an array is as long as it gets."""
    since = NOW if short else None
    v = verification(tracked=Tracked({Dimension.APP: "ab" * 16}), metadata={"a": "b"})
    error = ProviderError("1", "a")
    report = Report(
        event_id="e", status=DeliveryStatus.DELIVERED, at=NOW, message_id="m", fault=Fault.OTHER,
        errors=(error,), cost="1", currency="USD", carrier="c", parts=2,
    )  # fmt: skip
    fields = _fields(
        v,
        short=short,
        d1=dump_delivery(dataclasses.replace(make_delivery(1), probe="p"), since=since),
        o1=dump_outcome(HeldBack(NOW, Fault.SPEND, (error,), 5), since=since),
    )
    fields["r1:e"], fields["x1:e"] = dump_report(report, short=short)
    if short:
        del fields["x1:e"]
    grown = {n: _grown(x) if x.startswith(("[", "{")) else x for n, x in fields.items()}
    assert sum(grown[name] != fields[name] for name in fields) >= 4
    assert _load(grown) == _load(fields)


def test_the_short_form_of_a_start_takes_less_than_two_thirds() -> None:
    v = verification(
        tracked=Tracked(dict.fromkeys(Dimension, "ab" * 16)),
        recipient_id="ab" * 16,
        sealed="a" * 72,
        key_id="a" * 8,
    )
    short, long = (len("".join(dump_base(v, short=short))) for short in (True, False))
    assert short * 3 < long * 2
