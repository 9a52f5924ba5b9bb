"""Every key name. All keys of a recipient carry its partition's hash tag, so that each script is one
round trip and atomic on one Redis and on a Cluster alike.

A verification's id carries its partition: ``ver_`` (``ntc_`` for a notice) + two digits + 32
hexadecimal digits.
"""

import re
import secrets
from dataclasses import dataclass, field

from service.domain import pseudonym
from service.domain.opt_out_scope import EVERYTHING

PARTITIONS = pseudonym.PARTITIONS
partition_of = pseudonym.partition_of
META = "cs:meta"
VERIFICATION, NOTICE = "ver", "ntc"
_DIGEST = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ID = re.compile(r"(ver|ntc)_([0-9]{2})[0-9a-f]{32}", re.ASCII)


def partition_of_id(id_: str) -> int:
    """The partition of a verification or a notice."""
    return int(id_[4:6])


def is_digest(text: str) -> bool:
    """Whether the text can be a keyed digest."""
    return _DIGEST.fullmatch(text) is not None


_PREFIXES = tuple(f"cs:{{{partition:02d}}}:" for partition in range(PARTITIONS))


def prefix(partition: int) -> str:
    return _PREFIXES[partition]


def new_id(recipient_id: str, of: str = VERIFICATION) -> str:
    """An unguessable id (128 random bits) in the recipient's partition."""
    return f"{of}_{partition_of(recipient_id):02d}{secrets.token_hex(16)}"


def is_id(text: str, *of: str) -> bool:
    """Whether the text can be the id of a verification, a notice, or of one kind only."""
    match = _ID.fullmatch(text)
    return match is not None and int(match[2]) < PARTITIONS and (not of or match[1] in of)


@dataclass(frozen=True, slots=True)
class VerificationKeys:
    """The keys that follow from a verification's id."""

    id: str
    prefix: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", prefix(partition_of_id(self.id)))

    @property
    def record(self) -> str:
        return f"{self.prefix}v:{self.id}"

    @property
    def codes(self) -> str:
        return f"{self.prefix}c:{self.id}"

    @property
    def due(self) -> str:
        return f"{self.prefix}due"

    @property
    def audit(self) -> str:
        return f"{self.prefix}audit"


@dataclass(frozen=True, slots=True)
class RecipientKeys:
    """The keys that follow from a recipient's look-up id."""

    recipient_id: str
    prefix: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", prefix(partition_of(self.recipient_id)))

    @property
    def opt_out(self) -> str:
        """Of everything; those of one scope carry its name behind it."""
        return f"{self.prefix}o:{self.recipient_id}"

    def opt_out_of(self, scope: str) -> str:
        return f"{self.prefix}o:{self.opt_out_member(scope)}"

    def opt_out_member(self, scope: str) -> str:
        """An opt-out's name among all of the partition: what follows ``o:`` in its key."""
        return self.recipient_id if scope == EVERYTHING else f"{self.recipient_id}:{scope}"

    @property
    def opt_outs(self) -> str:
        return f"{self.prefix}oo"

    @property
    def listed(self) -> str:
        """When a complete look at Telnyx's list last had each of the partition's opt-outs."""
        return f"{self.prefix}oo:listed"

    @property
    def active(self) -> str:
        return f"{self.prefix}a:{self.recipient_id}"

    def limit(self, app: str = "") -> str:
        """The recipient's limit; with ``app`` the one that this app counts for itself."""
        return f"{self.prefix}l:{self.recipient_id}:recipient{app and ':'}{app}"

    @property
    def due(self) -> str:
        return f"{self.prefix}due"

    @property
    def audit(self) -> str:
        return f"{self.prefix}audit"

    def guesses(self, app: str) -> str:
        """The guess budget of the app; ``count_attempt.lua`` builds the same name."""
        return f"{self.prefix}g:{self.recipient_id}:{app}"

    def known(self, app: str) -> str:
        """The clients that were approved for the app; ``count_attempt.lua`` builds the same name."""
        return f"{self.prefix}k:{self.recipient_id}:{app}"

    def last_sender(self, app: str) -> str:
        """Through which sender the code came that was proven last for the app."""
        return f"{self.prefix}y:{self.recipient_id}:{app}"

    @property
    def pseudonym(self) -> str:
        """The only tie to her events; ``include/pseudonym.lua`` builds the same name."""
        return f"{self.prefix}s:{self.recipient_id}"

    @property
    def line(self) -> str:
        return f"{self.prefix}n:{self.recipient_id}"

    def pending(self, app: str, purpose: str) -> str:
        return f"{self.prefix}p:{self.recipient_id}:{app}:{purpose}"


@dataclass(frozen=True, slots=True)
class CallbackKeys:
    """The keys of a partition's callbacks; ``subject``: whose."""

    partition: int
    subject: str = ""

    def _key(self, name: str) -> str:
        return f"{prefix(self.partition)}{name}"

    @property
    def out(self) -> str:
        return self._key("out")

    @property
    def since(self) -> str:
        return self._key("out:since")

    @property
    def tries(self) -> str:
        return self._key("out:tries")

    @property
    def lost(self) -> str:
        return self._key("out:lost")

    @property
    def rest(self) -> str:
        return self._key("out:rest")

    @property
    def queue(self) -> str:
        return self._key(f"out:q:{self.subject}")

    @property
    def dead(self) -> str:
        return self._key("out:dead")

    @property
    def letters(self) -> str:
        return self._key("out:letters")


def shared_limit(name: str, digest: str) -> str:
    """The counter of a limit that belongs to no recipient, in its own partition."""
    return f"{prefix(partition_of(digest))}l:{digest}:{name}"


def tally(dimension: str, digest: str) -> str:
    """The sends and proven codes of a prefix, a country ..., by its keyed digest."""
    return f"{prefix(partition_of(digest))}t:{dimension}:{digest}"


def money(limit: str, digest: str) -> str:
    """What is reserved and spent against a cap; each reservation's key begins with it."""
    return f"{prefix(partition_of(digest))}m:{limit}:{digest}"


def price(digest: str) -> str:
    """The price of a prefix or a country."""
    return f"{prefix(partition_of(digest))}mp:{digest}"


def open_breakers(partition: int) -> str:
    """The partition's copy of the routes whose breaker is open, and until when."""
    return f"{prefix(partition)}breakers"


def session(digest: str) -> str:
    """A session of the dashboard, by the keyed digest of its token."""
    return f"{prefix(partition_of(digest))}w:{digest}"


def reservation(digest: str) -> str:
    """The reservation of an Idempotency-Key, by the keyed digest of app and key."""
    return f"{prefix(partition_of(digest))}i:{digest}"


API_KEYS = "cs:api-keys"
"""One hash: key id -> entry. Few, and read through a cache, so they need no partition."""

API_KEYS_USED = "cs:api-keys-used"
"""One hash: key id -> when it was last used. Apart, so that no use can undo a change of the key."""
APPS = f"{prefix(0)}apps"
"""One hash: app -> its definition. In partition 00, whose audit trail says who changed it."""
BREAKERS = f"{prefix(0)}breakers:all"
"""Every open breaker, with all that is known of it."""
QUARANTINES = f"{prefix(0)}quarantines"
"""The senders whose failures spike, by country."""
QUARANTINE_LEASE = f"{prefix(0)}quarantines:lease"
"""Held by the process that judges them."""
SYNC = f"{prefix(0)}sync"
"""How far the sync with Telnyx's list of opt-outs came, and the lease of who is at it."""
SYNC_LEASE = f"{prefix(0)}sync:lease"
SEAL_LEASE = f"{prefix(0)}chain:lease"
"""Held by the process that seals."""
CHECKPOINTS = f"{prefix(0)}checkpoints"
"""The signed heads of all chains, the newest of them."""
DAILY_CHECKPOINTS = f"{prefix(0)}checkpoints:daily"
"""The first of each day since the last archive."""
ARCHIVED = f"{prefix(0)}archived"
"""The last archive: which checkpoint it ends at, and its file."""
MIGRATED = f"{prefix(0)}migrated"
"""The layouts that the data was brought to, and when."""
MIGRATION_LEASE = f"{prefix(0)}migrated:lease"
"""Held by the process that brings it there."""
STATS_LEASE = f"{prefix(0)}st:lease"
"""Held by the process that counts."""


def stats_sum(hour: int) -> str:
    """The sum of an hour's counters over all partitions; hours lie in different slots."""
    return f"{prefix(hour % PARTITIONS)}sum:{hour}"
