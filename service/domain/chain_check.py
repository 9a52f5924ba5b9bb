"""Checks an export of the audit trail against its chain and checkpoints; needs nothing but the public keys.

It keeps a head for each partition, so its memory does not grow with the export.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nacl.signing import VerifyKey

from service.domain.audit import EventType
from service.domain.chain import GENESIS, Checkpoint, Loss, is_archive_signed, link
from service.domain.ecs import Link, to_line


class TamperedError(Exception):
    """The first place where the export is not what was sealed. ``what``: changed, removed, inserted,
    reordered, rewritten, truncated, or checkpoint."""

    def __init__(self, what: str, where: str, why: str) -> None:
        super().__init__(f"{what}: {where}: {why}")
        self.what = what
        self.where = where


@dataclass(slots=True)
class _Chain:
    """What is proven; and, where events follow that were read before they were sealed, the first of them
    (``unsealed``) and where the chain ends if they are what was sealed."""

    begin: int = 0
    sequence: int = 0
    unsealed: str | None = None
    end: int = 0
    end_hash: bytes = GENESIS


class ChainCheck:
    """Takes an export line by line. ``checkpoints``: checked before, see ``check_checkpoints``. ``behind``:
    the one whose events are in an archive; an event of the export, signed with one of the ``keys``, has to
    say so, unless that is ``known``. ``losses``: what is gone, and signed to be."""

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint] = (),
        behind: Checkpoint | None = None,
        *,
        keys: Sequence[VerifyKey] = (),
        known: bool = False,
    ) -> None:
        self.sealed = 0
        self.unsealed = 0
        self.losses: tuple[Loss, ...] = checkpoints[-1].losses if checkpoints else ()
        self._keys = keys
        self._missing_archive = None if known or behind is None else behind.number
        self._chains = {
            partition: _Chain(
                head.sequence, head.sequence, None, head.sequence, bytes.fromhex(head.hash)
            )
            for partition, head in (behind.heads if behind else {}).items()
        }
        self._signed: dict[tuple[int, int], tuple[str, int]] = {}
        self._last: dict[int, tuple[int, int]] = {}
        for checkpoint in checkpoints:
            for partition, head in checkpoint.heads.items():
                if not checkpoint.knows(partition, self.losses):
                    continue
                self._signed.setdefault((partition, head.sequence), (head.hash, checkpoint.number))
                self._last[partition] = head.sequence, checkpoint.number
        self._missing: tuple[int, int, str] | None = None

    def take(self, line: Mapping[str, Any]) -> None:
        """Check the next event. Raises TamperedError."""
        partition, stream_id, original, found = _read(line)
        where = _where(partition, found.sequence if found else None, stream_id)
        if self._missing is not None:
            # It is only left to say whether the event is gone, or in another place.
            if found is not None and (partition, found.sequence) == self._missing[:2]:
                raise TamperedError("reordered", self._missing[2], "the event stands further down")
            return
        chain = self._chains.setdefault(partition, _Chain())
        computed = link(chain.end_hash, partition, stream_id, original)
        if found is None:
            self._take_unsealed(chain, partition, computed, where)
            return
        if chain.unsealed is not None:
            if (found.sequence, found.hash) != (chain.end + 1, computed.hex()):
                raise _inserted(chain.unsealed)
            self._prove(chain)
        if found.sequence > chain.sequence + 1:
            place = _where(partition, chain.sequence + 1, None)
            self._missing = partition, chain.sequence + 1, place
            return
        if found.sequence <= chain.sequence:
            raise TamperedError("inserted", where, "an event of this number was there before")
        self._check(chain, partition, computed, found, where)
        if self._missing_archive is not None and self._tells_of_archive(line):
            self._missing_archive = None

    def end(self) -> None:
        """Raises TamperedError if events are missing: at the beginning, in between, or, as checkpoints
        know, at the end."""
        if self._missing_archive is not None:
            raise TamperedError(
                "removed",
                f"everything up to checkpoint {self._missing_archive}",
                "no sealed event says that it was archived, and is signed with a key given",
            )
        if self._missing is not None:
            raise TamperedError("removed", self._missing[2], "the event is missing")
        for partition, (sequence, number) in sorted(self._last.items()):
            there = self._chains.get(partition, _Chain()).sequence
            if there < sequence:
                raise TamperedError(
                    "truncated",
                    _where(partition, there + 1, None),
                    f"the export ends before it; checkpoint {number} knows {sequence} events",
                )

    @property
    def unsigned(self) -> int:
        """How many of the sealed events stand behind the last checkpoint."""
        return sum(
            chain.sequence - self._last.get(partition, (chain.begin, 0))[0]
            for partition, chain in self._chains.items()
        )

    def _tells_of_archive(self, line: Mapping[str, Any]) -> bool:
        return (
            line["type"] == EventType.TRAIL_ARCHIVED
            and line.get("checkpoint") == self._missing_archive
            and is_archive_signed(
                line["checkpoint"],
                str(line.get("digest")),
                str(line.get("signature")),
                self._keys,
            )
        )

    def _take_unsealed(self, chain: _Chain, partition: int, computed: bytes, where: str) -> None:
        """A link that follows, or a checkpoint, shows whether it is what was sealed since."""
        chain.unsealed = chain.unsealed or where
        chain.end, chain.end_hash = chain.end + 1, computed
        self.unsealed += 1
        signed = self._signed.get((partition, chain.end))
        if signed is not None:
            if signed[0] != computed.hex():
                raise _inserted(chain.unsealed)
            self._prove(chain)

    def _prove(self, chain: _Chain) -> None:
        count = chain.end - chain.sequence
        self.sealed, self.unsealed = self.sealed + count, self.unsealed - count
        chain.sequence, chain.unsealed = chain.end, None

    def _check(
        self, chain: _Chain, partition: int, computed: bytes, found: Link, where: str
    ) -> None:
        if computed.hex() != found.hash:
            raise TamperedError("changed", where, "it is not what was sealed")
        signed = self._signed.get((partition, found.sequence))
        if signed is not None and signed[0] != found.hash:
            why = (
                f"checkpoint {signed[1]} has another hash: this event or an earlier one was changed"
            )
            raise TamperedError("rewritten", where, why)
        chain.sequence, chain.end, chain.end_hash = found.sequence, found.sequence, computed
        self.sealed += 1


def _inserted(where: str) -> TamperedError:
    return TamperedError("inserted", where, "it was never sealed, and later ones are")


def check_checkpoints(
    checkpoints: Iterable[Checkpoint], keys: Sequence[VerifyKey]
) -> list[Checkpoint]:
    """Signatures, and that they go on from each other. Not all are kept, so numbers may be missing; a later
    one signs all that an earlier one did. Two of a number are a fork: the store was set back, and went on
    in another way. Raises TamperedError."""
    checked: list[Checkpoint] = []
    for checkpoint in sorted(checkpoints, key=lambda one: one.number):
        where = f"checkpoint {checkpoint.number}"
        if not any(checkpoint.is_signed_by(key) for key in keys):
            why = f"no public key given has signed it (it names the key {checkpoint.key})"
            raise TamperedError("checkpoint", where, why)
        last = checked[-1] if checked else None
        if last is not None and last.number == checkpoint.number:
            if last.hash != checkpoint.hash:
                why = "two differ that have this number: the store was set back, and went on otherwise"
                raise TamperedError("checkpoint", where, why)
            continue
        if last is not None and not checkpoint.follows(last):
            raise TamperedError("checkpoint", where, f"it does not follow {last.number}")
        checked.append(checkpoint)
    return checked


def _read(line: Mapping[str, Any]) -> tuple[int, str, str, Link | None]:
    try:
        event = line["event"]
        name, original = event["id"], event["original"]
        number, _, stream_id = name.partition("-")
        partition = int(number)
        found = Link(event["sequence"], event["hash"]) if "sequence" in event else None
        same = to_line(partition, stream_id, original, found) == line
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TamperedError("changed", str(line.get("id")), "the line is no event") from error
    if not same:
        raise TamperedError("changed", name, "what can be read is not what is stored")
    return partition, stream_id, original, found


def _where(partition: int, sequence: int | None, stream_id: str | None) -> str:
    number = f", event {sequence}" if sequence is not None else ""
    return f"partition {partition:02d}{number}" + (f", id {stream_id}" if stream_id else "")
