"""A code is bound to payee, amount and currency: nothing that differs in any way is the same."""

import unicodedata

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from service.domain.code import HASH_PROFILES, Code, digest_code
from service.domain.transaction import Transaction

COST = HASH_PROFILES["minimum"]
_transactions = st.builds(Transaction, payee=st.text(), amount=st.text(), currency=st.text())


def _digest(bound: str | None) -> bytes:
    return digest_code(
        Code("123456"), verification="v", pepper=b"p", salt=b"s" * 16, cost=COST, bound=bound
    )


@given(_transactions, _transactions)
@example(Transaction("a", "b", "c"), Transaction("ab", "", "c"))
@example(Transaction('a","b', "1", "EUR"), Transaction("a", "b", '1","EUR'))
@example(Transaction("Shop", "12.50", "EUR"), Transaction("Shop", "12.5", "EUR"))
@example(Transaction("Shop", "12.50", "EUR"), Transaction("Shop", "12.50", "EUr"))
@settings(max_examples=500)
def test_two_transactions_have_one_fingerprint_only_if_they_are_the_same(
    one: Transaction, other: Transaction
) -> None:
    assert (one.fingerprint == other.fingerprint) == (one == other)


@given(st.text(min_size=1), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
@example("Café", "NFD")
@example("Ａｃｍｅ", "NFKC")  # noqa: RUF001
def test_another_unicode_form_is_another_payee(payee: str, form: str) -> None:
    other = unicodedata.normalize(form, payee)  # type: ignore[arg-type]
    assume(other != payee)
    one, two = (Transaction(name, "12.50", "EUR") for name in (payee, other))
    assert one.fingerprint != two.fingerprint


def test_the_digest_of_a_code_is_bound_to_the_transaction() -> None:
    paid = Transaction("Shop", "12.50", "EUR").fingerprint
    more = Transaction("Shop", "12.51", "EUR").fingerprint
    assert len({_digest(None), _digest(paid), _digest(more)}) == 3
    assert _digest(paid) == _digest(paid)
