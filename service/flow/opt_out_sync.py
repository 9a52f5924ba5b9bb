"""The sync with Telnyx's list of opt-outs: both ways, a page at a time, resumable.

Telnyx can be asked for its list only page by page: no number can be looked up, and no block set or lifted
by API. So what it has and we lack is recorded here; what only we have (by API, REVOKE, a sentence) stays.

**Nothing is lost while the list changes.** A run asks for what was there when it began, so new rows move
none. Rows that go move the later ones forward, perhaps onto a page that was read already; then as many
of the pages before are read again as can hold what moved. What a row does is done once, however often it
is read.

**Nothing is lifted wrongly.** A row is lifted only if Telnyx's list alone said it (a STOP that we heard, or
an app's word, stays), if the list once had it, and if two complete looks in a row did not. A refused send
that was never on the list, one faulty answer, or an empty list lifts nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from service.clock import Clock
from service.domain.errors import UnavailableError
from service.domain.keyring import Keyring
from service.domain.opt_out_scope import Scopes
from service.domain.recipient import is_e164, mask
from service.store.opt_out_sync import Counts, Held, LostSyncError, OptOutSyncStore, Run, SyncState
from service.store.recipients import OptOut
from service.telnyx.account import LARGEST_PAGE, TelnyxAccount
from service.telnyx.resources import OptOutItem, Page

_TAKEN_UP_WITHIN = 86_400_000
"""Milliseconds: an older run that was left is begun anew."""

log = structlog.get_logger(__name__)

Progress = Callable[[Run], None]


class OptOutSync:
    """Brings Telnyx's list and ours together."""

    def __init__(
        self,
        *,
        store: OptOutSyncStore,
        account: TelnyxAccount,
        keyring: Keyring,
        scopes: Scopes,
        clock: Clock,
        page_size: int = LARGEST_PAGE,
    ) -> None:
        self._store = store
        self._account = account
        self._keyring = keyring
        self._scopes = scopes
        self._clock = clock
        self._page_size = page_size

    async def is_due(self, interval: int) -> bool:
        """Whether the last run began ``interval`` milliseconds ago or earlier, or there was none."""
        last = (await self._store.state()).last
        return last is None or self._clock.now() - last >= interval

    async def __call__(self, progress: Progress = lambda _: None) -> Counts | None:
        """One run, or the rest of one that was left; ``None`` if another process is at it.

        Raises:
            TelnyxCallError: Telnyx does not give the list; the next run goes on from the same page.
        """
        held = await self._store.take()
        if held is None:
            return None
        try:
            counts = await self._run(held, progress)
        except LostSyncError:
            return None
        except BaseException:
            with suppress(LostSyncError, UnavailableError):
                await self._store.save(held, held.state, let_go=True)
            raise
        log.info("opt_outs.synced", **{name: getattr(counts, name) for name in Counts.__slots__})
        return counts

    async def _run(self, held: Held, progress: Progress) -> Counts:
        now, left = self._clock.now(), held.state.run
        run = left if left and now - left.began < _TAKEN_UP_WITHIN else Run(began=now)
        pages = run.page
        while run.page <= pages:
            run, pages = await self._next_page(run)
            await self._store.save(held, replace(held.state, run=run))
            progress(run)
        ended = replace(held.state, run=run).ended()
        counts = await self._compare(run, ended)
        await self._store.save(held, ended, let_go=True)
        progress(replace(run, counts=counts))
        return counts

    async def _next_page(self, run: Run) -> tuple[Run, int]:
        """Record a page, and the ends of those before it that may hold what has moved forward."""
        page = await self._page(run.began, run.page)
        counts = await self._record(page, run)
        moved, before = run.total - page.total_results, run.page - 1
        while before > 0 and moved > (run.page - 1 - before) * self._page_size:
            again = await self._page(run.began, before)
            counts = await self._record(again, replace(run, counts=counts))
            moved, before = run.total - again.total_results, before - 1
        return Run(run.began, run.page + 1, page.total_results, counts), page.total_pages

    async def _page(self, began: int, number: int) -> Page[OptOutItem]:
        there = datetime.fromtimestamp(began / 1000, UTC)
        return await self._account.list_opt_outs(
            created_before=there, page_number=number, page_size=self._page_size
        )

    async def _record(self, page: Page[OptOutItem], run: Run) -> Counts:
        now = self._clock.now()
        found = [
            (self._keyring.lookup_id(row.to), self._entry(row, row.to, now))
            for row in page.items
            if row.to is not None and is_e164(row.to)
        ]
        recorded = await self._store.record(found, run.began, now)
        return replace(
            run.counts,
            rows=run.counts.rows + len(page.items),
            recorded=run.counts.recorded + recorded,
            known=run.counts.known + len(found) - recorded,
            skipped=run.counts.skipped + len(page.items) - len(found),
        )

    def _entry(self, row: OptOutItem, to: str, now: int) -> OptOut:
        since = int(row.created_at.timestamp() * 1000) if row.created_at else now
        scope = self._scopes.of_number(row.messaging_profile_id)
        return OptOut(mask(to), since, "telnyx", scope)

    async def _compare(self, run: Run, ended: SyncState) -> Counts:
        lifted = 0
        if ended.complete[:1] == (run.began,) and len(ended.complete) > 1:
            lifted = await self._store.lift_unlisted(ended.complete[1], self._clock.now())
        return replace(run.counts, lifted=lifted, only_here=await self._store.only_here(run.began))
