"""Sealing: the trail's new events get their links within a second or two, heads are signed each minute.

Nothing is signed that does not go on from the last checkpoint: whoever can write everything in the store
would otherwise have a chain of his own signed a minute later.
"""

import structlog
from nacl.signing import VerifyKey

from service.clock import Clock
from service.domain.chain import (
    FIRST,
    Checkpoint,
    Head,
    Loss,
    audit_public_keys,
    trusted_keys,
)
from service.domain.keyring import Keyring
from service.flow.pace import a_few, give_way
from service.store.chain import ChainStore
from service.telemetry import Metrics

CHECKPOINT_INTERVAL = 60_000
_PAGES, _PAGE = 16, 32
"""Of how many partitions, and of each how many events, are sealed in a step: about a millisecond's work."""
_AHEAD = 60_000

log = structlog.get_logger(__name__)


class BrokenChainError(Exception):
    """What the store has does not go on from what was signed. The message says why."""


class Sealing:
    """Seals what happened since it last looked. It keeps the last checkpoint that it saw, and the heads that
    it knows to follow from it, so a store that is set back is found out."""

    def __init__(self, store: ChainStore, keyring: Keyring, clock: Clock, metrics: Metrics) -> None:
        self._metrics = metrics
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._public = frozenset(audit_public_keys(keyring).values())
        self._last: Checkpoint | None = None
        self._proven: dict[int, Head] = {}
        self._refused_at: int | None = None

    async def __call__(self) -> int:
        """Seal until the trail's end as it is now; gives the number of events. Nothing if another process is
        at it.

        Raises:
            UnavailableError: the store does not answer.
        """
        if not await self._store.lead.take():
            return 0
        sealed, now = await self.seal(leads=True), self._clock.now()
        if self._refused_at is not None and abs(now - self._refused_at) < CHECKPOINT_INTERVAL:
            return sealed
        try:
            made = await self.checkpoint(CHECKPOINT_INTERVAL)
        except BrokenChainError as error:
            self._refused_at = now
            self._metrics.chain_broken(True)
            log.error("alarm.audit_chain_broken", why=str(error))  # noqa: TRY400  no fault of the code
            return sealed
        self._refused_at = None
        # An id of the future hides all later events of its partition from whoever reads until now.
        ahead = [p for p, head in self._proven.items() if head.time > now + _AHEAD]
        self._metrics.chain_broken(bool(ahead))
        if made is not None and ahead:
            log.error("alarm.audit_events_of_the_future", partitions=sorted(ahead))
        if made is not None:
            # Logs are kept elsewhere: who sets the store back cannot set them back.
            log.info("audit.checkpoint", number=made.number, hash=made.hash)
        return sealed

    async def seal(self, *, leads: bool = False) -> int:
        """Seal, whoever else is at it: a page is sealed once. Who ``leads`` goes on leading."""
        sealed, more = 0, True
        while more and (waiting := await self._store.waiting()):
            more = False
            for some in a_few(waiting, _PAGES):
                pages = await self._store.unsealed(some, _PAGE)
                heads = await self._store.seal(pages)
                # What somebody else sealed, or this page does not reach, is looked at again.
                more |= len(heads) < len(pages) or any(len(p.events) == _PAGE for p in pages)
                for page in pages:
                    begin = self._proven.get(page.partition, FIRST)
                    if page.partition in heads and page.head == begin:
                        self._proven[page.partition] = heads[page.partition]
                events = sum(len(page.events) for page in pages)
                sealed += events
                self._metrics.sealed(events)
                await give_way(behind=more)
            if leads:
                await self._store.lead.take()
        return sealed

    async def checkpoint(self, after: int = 0) -> Checkpoint | None:
        """Sign the heads, unless they are signed already or the last checkpoint is younger than ``after``
        (milliseconds); gives the new one.

        Raises:
            BrokenChainError: they do not go on from the last checkpoint.
        """
        last, now = await self._store.last_checkpoint(), self._clock.now()
        self._check(last)
        # One of the future was signed before the clock was set back.
        if last is not None and 0 <= now - last.at < after:
            return None
        heads = await self._store.heads()
        if last is None and not heads:
            return None
        if last is not None and last.heads == heads and self._is_of_these_keys(last):
            return None
        if broken := await self._broken(heads):
            raise BrokenChainError(
                "what checkpoint "
                f"{last.number if last is not None else 0} signed is not there any more in partition "
                + ", ".join(f"{partition:02d}" for partition in broken)
            )
        return await self._sign(last, heads, now)

    async def accept_losses(self) -> Checkpoint | None:
        """As ``checkpoint``, where the store lost what is signed: chains are set back to the newest signed
        head that is still there, what follows is sealed anew, and the checkpoint says so for good.

        Raises:
            BrokenChainError: the last checkpoint is signed with another key.
        """
        last, heads = await self._store.last_checkpoint(), await self._store.heads()
        self._check(last)
        number = last.number + 1 if last is not None else 1
        kept = await self._store.kept()
        trusted = trusted_keys(kept, self._keys())
        signed = [one for one in kept if any(one.is_signed_by(key) for key in trusted)]
        losses = []
        for partition in await self._broken(heads):
            to = await self._store.newest_left(partition, signed)
            if not await self._store.rewind(partition, heads.get(partition, FIRST), to):
                raise BrokenChainError("another process sealed meanwhile: try again")
            losses.append(Loss(number, partition, to.sequence))
            self._proven[partition] = to
        await self.seal()
        return await self._sign(last, await self._store.heads(), self._clock.now(), tuple(losses))

    async def _sign(
        self,
        last: Checkpoint | None,
        heads: dict[int, Head],
        now: int,
        losses: tuple[Loss, ...] = (),
    ) -> Checkpoint | None:
        checkpoint = Checkpoint(
            number=last.number + 1 if last is not None else 1,
            at=now,
            previous=last.hash if last is not None else "",
            key=self._keyring.newest,
            heads=heads,
            vouched=tuple(sorted(self._public.union(last.vouched if last is not None else ()))),
            losses=(last.losses if last is not None else ()) + losses,
        ).signed(self._keyring.audit_seed(self._keyring.newest))
        if not await self._store.add(checkpoint):
            return None
        self._last, self._proven = checkpoint, dict(heads)
        self._metrics.checkpoint(now)
        return checkpoint

    def _check(self, last: Checkpoint | None) -> None:
        """Take a checkpoint as the last one, if it follows what this process knows."""
        known = self._last
        if last is None:
            if known is not None:
                raise BrokenChainError(f"checkpoint {known.number} and all before it are gone")
            return
        if last == known:
            return
        if not any(last.is_signed_by(key) for key in self._keys()):
            raise BrokenChainError(
                f"checkpoint {last.number} is signed with none of these master keys"
            )
        if (
            known is not None
            and not last.follows(known)
            and not set(last.losses) - set(known.losses)
        ):
            raise BrokenChainError(
                f"checkpoint {last.number} is the last one, and {known.number} was: the store was set back"
            )
        self._last, self._proven = last, dict(last.heads)

    async def _broken(self, heads: dict[int, Head]) -> list[int]:
        """The partitions whose chain does not go on from the last checkpoint."""
        signed = self._last.heads if self._last is not None else {}
        broken = []
        for partition in sorted(heads.keys() | signed.keys()):
            head, begin = heads.get(partition, FIRST), signed.get(partition, FIRST)
            if self._proven.get(partition) == head:
                continue
            if not await self._store.leads_to(partition, begin, head):
                broken.append(partition)
        return broken

    def _is_of_these_keys(self, last: Checkpoint) -> bool:
        return last.key == self._keyring.newest and self._public <= set(last.vouched)

    def _keys(self) -> list[VerifyKey]:
        return [VerifyKey(bytes.fromhex(key)) for key in sorted(self._public)]
