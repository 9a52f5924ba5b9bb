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
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from service.domain.keyring import Keyring

GENESIS = bytes(32)
"""The link before the first event."""
_LINK, _CHECKPOINT = b"cs audit link 1", b"cs audit check 1"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: how many events, the last one's stream id, and its link (hex)."""

    sequence: int
    id: str
    hash: str


FIRST = Head(0, "", GENESIS.hex())


def link(previous: bytes, partition: int, stream_id: str, original: str) -> bytes:
    """The link of an event. Lengths stand before what has none of its own, so nothing can be read in two
    ways."""
    id_ = stream_id.encode()
    framed = previous + bytes((partition, len(id_))) + id_ + original.encode()
    return hashlib.blake2b(framed, digest_size=32, person=_LINK).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The heads at an instant (milliseconds), by partition; ``key`` names the signer's master key."""

    number: int
    at: int
    previous: str
    key: str
    heads: Mapping[int, Head]
    signature: str = ""

    @property
    def message(self) -> bytes:
        """What is signed."""
        body = self.to_members()
        del body["signature"]
        return _CHECKPOINT + json.dumps(body, separators=(",", ":"), sort_keys=True).encode()

    def is_before(self, time: int) -> bool:
        """Whether all that it signs happened before a time (milliseconds of the stream ids)."""
        return all(int(head.id.partition("-")[0]) < time for head in self.heads.values())

    def follows(self, earlier: "Checkpoint") -> bool:
        """Whether it can have been signed later than another."""
        if self.number == earlier.number + 1 and self.previous != earlier.hash:
            return False
        return self.number > earlier.number and all(
            partition in self.heads and self.heads[partition].sequence >= head.sequence
            for partition, head in earlier.heads.items()
        )

    @property
    def hash(self) -> str:
        return hashlib.blake2b(self.message, digest_size=32).hexdigest()

    def signed(self, seed: bytes) -> "Checkpoint":
        signature = SigningKey(seed).sign(self.message).signature
        return read_checkpoint(
            self.to_members() | {"signature": base64.b64encode(signature).decode()}
        )

    def is_signed_by(self, key: VerifyKey) -> bool:
        try:
            key.verify(self.message, base64.b64decode(self.signature, validate=True))
        except (BadSignatureError, ValueError, TypeError):
            return False
        return True

    def to_members(self) -> dict[str, Any]:
        return {
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


def audit_public_keys(keyring: Keyring) -> dict[str, str]:
    """The keys that checkpoints are checked with (hex), by the id of their master key."""
    return {
        id_: SigningKey(keyring.audit_seed(id_)).verify_key.encode().hex() for id_ in keyring.ids
    }


def read_checkpoint(members: Mapping[str, Any]) -> Checkpoint:
    """Raises ValueError if it is none."""
    try:
        heads = {int(name): Head(*head) for name, head in members["heads"].items()}
        return Checkpoint(
            number=int(members["number"]),
            at=int(members["at"]),
            previous=str(members["previous"]),
            key=str(members["key"]),
            heads=heads,
            signature=str(members["signature"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("no checkpoint of the audit trail") from error
