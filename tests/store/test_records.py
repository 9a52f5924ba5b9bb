"""What is written of a verification reads back as it was, in the form of now and of before."""

import json

from hypothesis import given
from hypothesis import strategies as st

from service.domain.pumping import Dimension, Exemption, Tracked
from service.domain.verification import Accepted, Outcome, Uncertain, Verification
from service.store.records import dump, dump_base, dump_delivery, dump_outcome, load
from tests.store.stores import SENDER, make_delivery, verification

DIGESTS = st.binary(min_size=16, max_size=16).map(bytes.hex)
TRACKED = st.builds(
    Tracked,
    st.dictionaries(st.sampled_from(list(Dimension)), DIGESTS, min_size=1),
    st.none() | st.sampled_from([str(exemption) for exemption in Exemption]),
    st.booleans(),
)
SCRIPTS = {"status": "pending", "rev": "1", "resend_after": "1800000030000"}


def _read(v: Verification, **fields: str) -> Verification:
    base, more = dump_base(v)
    return load(v.id, {**SCRIPTS, "base": base, "more": more, **fields}, {"long": SENDER})


@given(TRACKED, st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
def test_what_it_counts_under_reads_back(tracked: Tracked, metadata: dict[str, str]) -> None:
    read = _read(verification(tracked=tracked, metadata=metadata))
    assert read.tracked == tracked
    assert read.metadata == metadata


@given(TRACKED)
def test_what_was_written_with_names_and_hex_digits_still_reads(tracked: Tracked) -> None:
    v = verification(tracked=tracked)
    _, more = dump_base(v)
    before = json.loads(more) | {"tracked": tracked}
    assert _read(v, more=dump(before)).tracked == tracked


@given(
    st.builds(Accepted, st.integers(0), st.text(max_size=5), st.floats(0, 10))
    | st.builds(Uncertain, st.integers(0))
)
def test_an_outcome_reads_back(outcome: Outcome) -> None:
    fields = {"d1": dump_delivery(make_delivery(1)), "o1": dump_outcome(outcome)}
    (delivery,) = _read(verification(), **fields).deliveries
    assert delivery.outcome == outcome
