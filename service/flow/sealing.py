"""Sealing: the trail's new events get their links within a second or two, heads are signed each minute."""

from service.clock import Clock
from service.domain.chain import Checkpoint
from service.domain.keyring import Keyring
from service.store.chain import ChainStore
from service.telemetry import Metrics

CHECKPOINT_INTERVAL = 60_000


class Sealing:
    """Seals what happened since it last looked."""

    def __init__(self, store: ChainStore, keyring: Keyring, clock: Clock, metrics: Metrics) -> None:
        self._metrics = metrics
        self._store = store
        self._keyring = keyring
        self._clock = clock

    async def __call__(self) -> int:
        """Seal until the trail's end as it is now; gives the number of events. Nothing if another process is
        at it.

        Raises:
            UnavailableError: the store does not answer.
        """
        if not await self._store.lead.take():
            return 0
        sealed = await self.seal()
        await self.checkpoint(CHECKPOINT_INTERVAL)
        return sealed

    async def seal(self) -> int:
        """Seal, whoever else is at it: a page is sealed once."""
        sealed = 0
        while pages := await self._store.unsealed():
            await self._store.seal(pages)
            sealed += sum(len(page.events) for page in pages)
            self._metrics.sealed(sum(len(page.events) for page in pages))
            await self._store.lead.take()
        return sealed

    async def checkpoint(self, after: int = 0) -> Checkpoint | None:
        """Sign the heads, unless they are signed already or the last checkpoint is younger than ``after``
        (milliseconds); gives the new one."""
        last, now = await self._store.last_checkpoint(), self._clock.now()
        if last is not None and now - last.at < after:
            return None
        heads = await self._store.heads()
        if not heads or (last is not None and last.heads == heads):
            return None
        checkpoint = Checkpoint(
            number=last.number + 1 if last is not None else 1,
            at=now,
            previous=last.hash if last is not None else "",
            key=self._keyring.newest,
            heads=heads,
        ).signed(self._keyring.audit_seed(self._keyring.newest))
        if not await self._store.add(checkpoint):
            return None
        self._metrics.checkpoint(now)
        return checkpoint
