"""How far the data is on its way to this release's layout: fields of ``cs:meta``."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.audit import Event
from service.store import keys
from service.store.connection import Connection
from service.store.lead import Lead
from service.store.migrations.steps import STEPS
from service.store.records import dump, pairs
from service.store.scripts import Scripts
from service.store.setup import LAYOUT

_CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class State:
    """``closing``: the layout is this release's, and the last pass is under way. ``passed``: by step, how
    many partitions it has passed. ``is_ready``: a process of this release has started."""

    layout: int
    closing: bool
    is_ready: bool
    passed: Mapping[str, int]

    @property
    def is_done(self) -> bool:
        return self.layout == LAYOUT and not self.closing


class MigrationStore:
    """Reads and writes it; the steps themselves are in ``steps.py``."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts
        self._done = False
        self.lead = Lead(connection, keys.MIGRATION_LEASE)

    async def state(self) -> State:
        meta = pairs(await self._connection.command("HGETALL", keys.META))
        passed = {
            step.name: sum(name.startswith(f"{step.name}:") for name in meta) for step in STEPS
        }
        state = State(int(meta.get("layout", LAYOUT)), _CLOSING in meta, "lookup" in meta, passed)
        self._done = self._done or state.is_done
        return state

    @property
    def was_done(self) -> bool:
        """Whether the data had this release's layout, whole, when it was last asked for."""
        return self._done

    async def is_done(self) -> bool:
        """Whether the data has this release's layout, whole. Once it has, it is not asked again."""
        return self._done or (await self.state()).is_done

    async def close(self) -> None:
        """Write this release's layout, which no process of an older one can start on. The look-up key must
        be there: from now on nothing says that it once followed from a master key."""
        await self._connection.command(
            "HSET", keys.META, "layout", LAYOUT, _CLOSING, str(LAYOUT - 1)
        )

    async def close_at_once(self) -> None:
        """For the only process that there is: no older one can run."""
        state = await self.state()
        if not state.is_done and not state.closing:
            await self.close()

    async def finish(self, event: Event, now: int) -> bool:
        """The last pass is over. ``False``: somebody else has recorded it."""
        reply = await self._scripts.run(
            "finish_migration",
            {"migrated": keys.MIGRATED, "audit": f"{keys.prefix(0)}audit"},
            {"layout": LAYOUT, "now": now, "event": dump(event)},
        )
        marks = [
            f"{step.name}:{partition:02d}" for step in STEPS for partition in range(keys.PARTITIONS)
        ]
        await self._connection.command("HDEL", keys.META, _CLOSING, *marks)
        return reply[0] == "ok"
