"""Pseudonyms: who a person is in the audit trail.

The trail cannot be changed, so nothing in it may lead to a person for ever. Its events carry a random
pseudonym; the only tie between that and a number's look-up id is one key in the store. With that key
gone (``countersign audit erase``) nobody can tell whose the events were, and the chain still holds: GDPR
article 4 (5) and recital 26.
"""

import secrets

PARTITIONS = 64
_LOW = (1 << 96) - 1


def partition_of(digest: str) -> int:
    """The partition of a look-up id, of a pseudonym, or of any other hexadecimal digest."""
    return int(digest[:8], 16) % PARTITIONS


def propose(recipient_id: str) -> str:
    """A recipient as an event names it on its way to the store: the look-up id, and the pseudonym that it
    gets if it has none yet. That is 128 random bits but for the partition, which every id names."""
    drawn = secrets.randbits(128)
    high = (drawn >> 96) // PARTITIONS * PARTITIONS + partition_of(recipient_id)
    return f"{recipient_id}.{high:08x}{drawn & _LOW:024x}"
