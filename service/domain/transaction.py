"""What a code approves, where it approves a payment (dynamic linking).

PSD2 RTS (EU) 2018/389 article 5: the payer sees amount and payee, the code is specific to both, and is
accepted for nothing else. So they stand in the text, in the code's digest, and in what verify is asked.
"""

import json
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b

LONGEST_PAYEE = 40
_SIGNS = frozenset(" .,&()'\u2019+/-")
_JOINERS = frozenset("\u200c\u200d")  # spelling, in Persian and in the scripts of India


class PayeeError(ValueError):
    """A name that cannot stand in a text."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """``amount`` is shown as it was sent; ``currency`` is an ISO 4217 code."""

    payee: str
    amount: str
    currency: str

    @property
    def fingerprint(self) -> str:
        """The same for the same three strings, code point by code point, and for no others. Nothing is
        normalised: "12.50" is not "12.5", and a composed letter is not a decomposed one."""
        # A JSON array of strings can be read back in one way only.
        canonical = json.dumps([self.payee, self.amount, self.currency])
        return blake2b(canonical.encode(), digest_size=32, person=b"cs transaction").hexdigest()


def check_payee(payee: str) -> str:
    """A payee's name. Raises PayeeError if it could pass for something else in a text, or be unreadable."""
    if not 1 <= len(payee) <= LONGEST_PAYEE or payee != payee.strip():
        raise PayeeError(f"must be 1 to {LONGEST_PAYEE} characters, with no blank at an end")
    for character in payee:
        is_word = unicodedata.category(character)[0] in "LMN"
        if not is_word and character not in _SIGNS and character not in _JOINERS:
            raise PayeeError(
                "may have letters and digits of any script, blanks, and . , & ( ) ' + / -"
            )
    return payee
