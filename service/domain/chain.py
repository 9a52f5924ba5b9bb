"""The hash chain of the audit trail, and its signed heads.

Each partition has a chain of its own: the link of an event is a BLAKE2b hash of the link before it and of
the event as it is stored, so no event can be changed, left out, put in or moved without all later links being
others. Now and then the heads of all chains are signed (a checkpoint): who rewrites a chain from some
place on cannot sign, and what was cut off at its end is told by the last checkpoint. Checkpoints are
numbered and name each other's hashes.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from service.domain.keyring import Keyring

GENESIS = bytes(32)
"""The link before the first event."""
_LINK, _CHECKPOINT, _ARCHIVE = b"cs audit link 1", b"cs audit check 1", b"cs audit archive 1"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: how many events, the last one's stream id, and its link (hex)."""

    sequence: int
    id: str
    hash: str

    @property
    def time(self) -> int:
        """Of its event, milliseconds."""
        return int(self.id.partition("-")[0] or 0)


FIRST = Head(0, "", GENESIS.hex())


def link(previous: bytes, partition: int, stream_id: str, original: str) -> bytes:
    """The link of an event. Lengths stand before what has none of its own, so nothing can be read in two
    ways."""
    id_ = stream_id.encode()
    framed = previous + bytes((partition, len(id_))) + id_ + original.encode()
    return hashlib.blake2b(framed, digest_size=32, person=_LINK).digest()


def links(head: Head, partition: int, events: Iterable[tuple[str, str]]) -> list[bytes]:
    """The links of the events (stream id and JSON) that follow a head."""
    found, last = [], bytes.fromhex(head.hash)
    for stream_id, original in events:
        last = link(last, partition, stream_id, original)
        found.append(last)
    return found


def extend(head: Head, partition: int, events: Sequence[tuple[str, str]]) -> Head:
    """The head that a chain has after some events more."""
    if not events:
        return head
    last = links(head, partition, events)[-1]
    return Head(head.sequence + len(events), events[-1][0], last.hex())


@dataclass(frozen=True, slots=True)
class Loss:
    """What the store lost, as an operator had it signed: checkpoints before ``number`` know more events of
    the partition than ``left``, and others may follow those."""

    number: int
    partition: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The heads at an instant (milliseconds), by partition; ``key`` names the signer's master key.

    ``vouched``: public keys (hex) that sign checkpoints too, or did, so that whoever has one of them can
    check all. ``losses``: all that there ever were.
    """

    number: int
    at: int
    previous: str
    key: str
    heads: Mapping[int, Head]
    vouched: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    signature: str = ""

    @property
    def message(self) -> bytes:
        """What is signed."""
        body = self.to_members()
        del body["signature"]
        return _CHECKPOINT + json.dumps(body, separators=(",", ":"), sort_keys=True).encode()

    @property
    def sealed(self) -> int:
        """How many events it signs, in all partitions."""
        return sum(head.sequence for head in self.heads.values())

    def is_before(self, time: int) -> bool:
        """Whether all that it signs happened before a time (milliseconds of the stream ids)."""
        return all(head.time < time for head in self.heads.values())

    def follows(self, earlier: "Checkpoint") -> bool:
        """Whether it can have been signed later than another."""
        if self.number == earlier.number + 1 and self.previous != earlier.hash:
            return False
        return self.number > earlier.number and all(
            self._goes_on(earlier, partition, head) for partition, head in earlier.heads.items()
        )

    def _goes_on(self, earlier: "Checkpoint", partition: int, head: Head) -> bool:
        if any(o.partition == partition and o.number > earlier.number for o in self.losses):
            return True
        now = self.heads.get(partition, FIRST)
        return now.sequence > head.sequence or now == head

    def knows(self, partition: int, losses: Iterable[Loss]) -> bool:
        """Whether its head of the partition is to be found in the chain, whatever was lost since."""
        sequence = self.heads[partition].sequence
        return not any(
            o.partition == partition and o.number > self.number and sequence > o.left
            for o in losses
        )

    @property
    def hash(self) -> str:
        return hashlib.blake2b(self.message, digest_size=32).hexdigest()

    def signed(self, seed: bytes) -> "Checkpoint":
        return read_checkpoint(self.to_members() | {"signature": _sign(seed, self.message)})

    def is_signed_by(self, key: VerifyKey) -> bool:
        return _is_signed(self.message, self.signature, key)

    def to_members(self) -> dict[str, Any]:
        members = {
            "number": self.number,
            "at": self.at,
            "previous": self.previous,
            "key": self.key,
            "heads": {
                f"{partition:02d}": [head.sequence, head.id, head.hash]
                for partition, head in sorted(self.heads.items())
            },
            "signature": self.signature,
        }
        # Where there are none they are left out: an earlier release signed checkpoints without them.
        if self.vouched:
            members["vouched"] = list(self.vouched)
        if self.losses:
            members["losses"] = [[o.number, o.partition, o.left] for o in self.losses]
        return members


def audit_public_keys(keyring: Keyring) -> dict[str, str]:
    """The keys that checkpoints are checked with (hex), by the id of their master key."""
    return {
        id_: SigningKey(keyring.audit_seed(id_)).verify_key.encode().hex() for id_ in keyring.ids
    }


def trusted_keys(checkpoints: Iterable[Checkpoint], given: Iterable[VerifyKey]) -> list[VerifyKey]:
    """The keys given, and all that checkpoints signed by one of them, or by one found so, vouch for."""
    trusted, left, found = list(given), list(checkpoints), list(given)
    while found:
        vouching = [one for one in left if any(one.is_signed_by(key) for key in found)]
        numbers = {one.number for one in vouching}
        left = [one for one in left if one.number not in numbers]
        names = {name for one in vouching for name in one.vouched}
        found = [
            k for name in sorted(names) if (k := VerifyKey(bytes.fromhex(name))) not in trusted
        ]
        trusted += found
    return trusted


def sign_archive(seed: bytes, checkpoint: int, digest: str) -> str:
    """Says that the events up to a checkpoint are in a file of this digest: who can write in the store,
    and has no key, cannot pass off as archived what is gone."""
    return _sign(seed, _archived(checkpoint, digest))


def is_archive_signed(
    checkpoint: int, digest: str, signature: str, keys: Iterable[VerifyKey]
) -> bool:
    return any(_is_signed(_archived(checkpoint, digest), signature, key) for key in keys)


def _archived(checkpoint: int, digest: str) -> bytes:
    return _ARCHIVE + f"{checkpoint}:{digest}".encode()


def _sign(seed: bytes, message: bytes) -> str:
    return base64.b64encode(SigningKey(seed).sign(message).signature).decode()


def _is_signed(message: bytes, signature: str, key: VerifyKey) -> bool:
    try:
        key.verify(message, base64.b64decode(signature, validate=True))
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def read_checkpoint(members: Mapping[str, Any]) -> Checkpoint:
    """Raises ValueError if it is none."""
    try:
        vouched = tuple(members.get("vouched", ()))
        if any(len(bytes.fromhex(name)) != _KEY_BYTES for name in vouched):
            raise ValueError("no public key is vouched for")
        return Checkpoint(
            number=int(members["number"]),
            at=int(members["at"]),
            previous=str(members["previous"]),
            key=str(members["key"]),
            heads={int(name): Head(*head) for name, head in members["heads"].items()},
            vouched=vouched,
            losses=tuple(Loss(*loss) for loss in members.get("losses", ())),
            signature=str(members["signature"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("no checkpoint of the audit trail") from error
