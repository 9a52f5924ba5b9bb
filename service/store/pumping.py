"""The tallies of sends and proven codes, and the keys that are blocked for them.

A key stands in Redis as its dimension and a keyed digest, in the digest's partition."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from service.domain.audit import Event
from service.domain.pumping import PROBATION, Block, Dimension, Standing
from service.domain.tally import KEEP_PROVEN, KEEP_UNPROVEN, Count, Figures
from service.store import keys
from service.store.connection import Connection
from service.store.keys import RecipientKeys
from service.store.records import dump
from service.store.scripts import Call, Reply, Scripts

Digests = Mapping[Dimension, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What counting said: how each key stands, under which epoch of its windows it was counted, and
    whether the recipient was approved before."""

    standings: Mapping[Dimension, Standing]
    epochs: Mapping[Dimension, str]
    known: bool


@dataclass(frozen=True, slots=True)
class Blocked:
    """A blocked key, or one on probation: its name for ``release``, and what is known of the start that
    tripped it."""

    name: str
    block: Block
    about: Mapping[str, str]


class PumpingStore:
    """``calls`` and ``read`` let the counting share the round trip of the limits."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    def calls(self, digests: Digests, recipient_id: str, app: str, now: int) -> list[Call]:
        """Count a message under each key, and ask whether the recipient is known."""
        known = RecipientKeys(recipient_id).known(app)
        keep = {"keep_proven": KEEP_PROVEN, "keep_unproven": KEEP_UNPROVEN}
        counts = [
            Call("tally", {"tally": keys.tally(dimension, digest)}, {"now": now, **keep})
            for dimension, digest in digests.items()
        ]
        return [*counts, Call("knows", {"known": known}, {})]

    def read(self, digests: Digests, replies: Sequence[Reply]) -> Seen:
        """What the calls' replies say."""
        found = dict(zip(digests, replies[:-1], strict=True))
        return Seen(
            {dimension: read_standing(reply) for dimension, reply in found.items()},
            {dimension: reply[1] for dimension, reply in found.items()},
            replies[-1][0] == "yes",
        )

    async def run(self, calls: list[Call]) -> list[Reply]:
        """Count in a round trip of its own."""
        return await self._scripts.run_all(calls)

    async def give_back(self, digests: Digests, epochs: Mapping[Dimension, str], at: int) -> None:
        """A message that was counted at ``at`` was not sent after all."""
        await self._scripts.run_all(
            [
                _correct(dimension, digest, at, sent=-1, epoch=epochs[dimension])
                for dimension, digest in digests.items()
            ]
        )

    async def prove(self, digests: Digests, now: int, messages: int) -> None:
        """The code of a verification was proven: its messages count so."""
        await self._scripts.run_all(
            [
                _correct(dimension, digest, now, proven=messages)
                for dimension, digest in digests.items()
            ]
        )

    async def trip(
        self,
        dimension: Dimension,
        digest: str,
        block: Block,
        *,
        epoch: str,
        now: int,
        about: Mapping[str, str],
        event: Event,
    ) -> bool:
        """Block a key; ``False`` if another start did, after this one was counted."""
        reply = await self._scripts.run(
            "trip",
            _keys(dimension, digest),
            {
                "name": f"{dimension}:{digest}",
                "now": now,
                "until_": block.until,
                "block": dump({**asdict(block), "about": dict(about)}),
                "epoch": epoch,
                "keep": KEEP_UNPROVEN,
                "probation": PROBATION,
                "event": dump(event),
            },
        )
        return reply[0] == "ok"

    async def release(self, dimension: Dimension, digest: str, event: Event) -> bool:
        """End a block by hand; ``False`` if there is none."""
        args = {"name": f"{dimension}:{digest}", "event": dump(event)}
        reply = await self._scripts.run("release", _keys(dimension, digest), args)
        return reply[0] == "ok"

    async def blocks(self, now: int) -> list[Blocked]:
        """All keys that are blocked or on probation, the longest block first."""
        since = now - PROBATION
        found = await self._connection.commands(
            [
                ("ZRANGE", f"{keys.prefix(partition)}blocks", f"({since}", "+inf", "BYSCORE")
                for partition in range(keys.PARTITIONS)
            ]
        )
        names = sorted(name for part in found for name in part)
        entries = await self._connection.commands(
            [("HGET", keys.tally(*name.split(":")), "block") for name in names]
        )
        blocked = [
            _blocked(name, entry) for name, entry in zip(names, entries, strict=True) if entry
        ]
        return sorted(blocked, key=lambda one: (-one.block.until, one.name))


def read_standing(reply: Reply) -> Standing:
    """Read the reply of ``tally.lua``."""
    numbers = [int(number) for number in reply[3].split()]
    hour, day, past = (Count(*numbers[i : i + 2]) for i in (0, 2, 4))
    figures = Figures(hour, day, past, peak_hour=numbers[6], peak_day=numbers[7])
    return Standing(figures, _block(json.loads(reply[2])) if reply[2] else None)


def _correct(
    dimension: Dimension, digest: str, at: int, *, sent: int = 0, proven: int = 0, epoch: str = ""
) -> Call:
    return Call(
        "correct_tally",
        {"tally": keys.tally(dimension, digest)},
        {
            "now": at,
            "sent": sent,
            "proven": proven,
            "epoch": epoch,
            "keep": KEEP_PROVEN if proven else KEEP_UNPROVEN,
        },
    )


def _keys(dimension: Dimension, digest: str) -> dict[str, str]:
    prefix = keys.prefix(keys.partition_of(digest))
    return {
        "tally": keys.tally(dimension, digest),
        "blocks": f"{prefix}blocks",
        "audit": f"{prefix}audit",
    }


def _block(found: dict[str, int]) -> Block:
    return Block(**{name: value for name, value in found.items() if name != "about"})


def _blocked(name: str, entry: str) -> Blocked:
    found = json.loads(entry)
    return Blocked(name, _block(found), found["about"])
