"""Callbacks waiting to be delivered, and those that could not be.

Scripts queue them with the audit event that they tell of (``lua/include/callbacks.lua``). A subject's
callbacks leave in order: only its first is ever tried, and a try is a lease.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from service.store import keys
from service.store.connection import Connection
from service.store.keys import CallbackKeys
from service.store.records import dump
from service.store.scripts import Scripts

BATCH = 32
"""Subjects read from a partition at once, beside those that the reader knows."""
MOST_DEAD = 1_000
"""Dead letters kept for a partition; the oldest go."""
KEEP_DEAD = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Callback:
    """One event for one receiver. ``url`` is empty where the configuration says it, ``app`` too;
    ``since``: from when its tries are counted (milliseconds)."""

    id: str
    subject: str
    url: str
    app: str
    since: int
    event: str

    @property
    def keys(self) -> CallbackKeys:
        return CallbackKeys(partition_of(self.id), self.subject)


@dataclass(frozen=True, slots=True)
class Try:
    """A callback held for one try, the ``number``-th."""

    callback: Callback
    number: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A callback that was given up: when, after how many tries, and how the last one ended."""

    callback: Callback
    at: int
    tries: int
    answer: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """``subjects`` wait, the oldest since ``since``; ``lost`` were never queued, for want of room."""

    subjects: int
    since: int | None
    dead: int
    lost: int


class CallbackStore:
    """``lease``: how long (milliseconds) a try is left alone before another worker repeats it."""

    def __init__(self, connection: Connection, scripts: Scripts, *, lease: int) -> None:
        self._connection = connection
        self._scripts = scripts
        self._lease = lease

    async def queue_the_rest(self, wanted: bool) -> None:
        """Whether events of no verification are queued at all."""
        await self._connection.commands(
            [("SET", k.rest, 1) if wanted else ("DEL", k.rest) for k in _partitions()]
        )

    async def due(self, now: int, known: Collection[CallbackKeys] = ()) -> list[CallbackKeys]:
        """Subjects of any partition that may be tried, but for those that are known, in one round trip."""
        more = Counter(k.partition for k in known)
        found = await self._connection.commands(
            [
                ("ZRANGE", k.out, "-inf", now, "BYSCORE", "LIMIT", 0, BATCH + more[k.partition])
                for k in _partitions()
            ]
        )
        due = [
            CallbackKeys(k.partition, str(subject))
            for k, subjects in zip(_partitions(), found, strict=True)
            for subject in subjects
        ]
        return [k for k in due if k not in known]

    async def urls(self, subjects: Sequence[CallbackKeys]) -> list[str]:
        """Where the first callback of each subject goes; empty where the configuration says it."""
        if not subjects:
            return []
        first = await self._connection.commands([("LINDEX", k.queue, 0) for k in subjects])
        return [json.loads(entry)["url"] if entry else "" for entry in first]

    async def postpone(self, later: list[tuple[CallbackKeys, int]]) -> None:
        """Look at these subjects later, so that those behind them are seen; never shortens a lease."""
        if later:
            await self._connection.commands(
                [("ZADD", k.out, "XX", "GT", at, k.subject) for k, at in later]
            )

    async def claim(self, k: CallbackKeys, now: int) -> Try | None:
        """Hold the subject's first callback; ``None`` if it is held, or not due."""
        reply = await self._scripts.run(
            "claim_callback",
            {"out": k.out, "since": k.since, "tries": k.tries, "queue": k.queue},
            {"subject": k.subject, "now": now, "lease_until": now + self._lease},
        )
        if reply[0] != "ok":
            return None
        return Try(Callback(**json.loads(reply[2])), int(reply[1]))

    async def delivered(self, held: Try, now: int) -> str:
        """Record it: ``more`` (the subject's next is due), ``last``, or ``lost``: the lease ran out, and
        another worker has tried it."""
        return await self._settle(held, now)

    async def retry(self, held: Try, now: int, at: int) -> str:
        """Let it wait: ``waits`` or ``lost``."""
        return await self._settle(held, now, retry_at=at)

    async def bury(self, held: Try, now: int, answer: str) -> str:
        """Give it up, and keep it among the dead letters; as ``delivered``."""
        letter = DeadLetter(held.callback, now, held.number, answer)
        return await self._settle(held, now, letter=letter)

    async def _settle(
        self, held: Try, now: int, *, retry_at: int | None = None, letter: DeadLetter | None = None
    ) -> str:
        k = held.callback.keys
        reply = await self._scripts.run(
            "settle_callback",
            {
                "out": k.out,
                "since": k.since,
                "tries": k.tries,
                "queue": k.queue,
                "dead": k.dead,
                "letters": k.letters,
            },
            {
                "subject": k.subject,
                "id": held.callback.id,
                "try": held.number,
                "now": now,
                "retry_at": "" if retry_at is None else retry_at,
                "dead_letter": "" if letter is None else dump(asdict(letter)),
                "most_dead": MOST_DEAD,
                "keep_dead": KEEP_DEAD,
            },
        )
        return reply[0]

    async def dead_letters(self) -> list[DeadLetter]:
        """All of them, the oldest first."""
        found = []
        for k in _partitions():
            found += await self._connection.command("HVALS", k.letters)
        return sorted(map(_load_letter, found), key=lambda letter: (letter.at, letter.callback.id))

    async def dead_letter(self, id_: str) -> DeadLetter | None:
        entry = await self._connection.command("HGET", CallbackKeys(partition_of(id_)).letters, id_)
        return _load_letter(entry) if entry else None

    async def resend(self, letter: DeadLetter, now: int) -> bool:
        """Queue a dead letter again, for as many tries as a new one; ``False`` if it is gone."""
        callback = replace(letter.callback, since=now)
        k = callback.keys
        reply = await self._scripts.run(
            "resend_callback",
            {
                "out": k.out,
                "since": k.since,
                "queue": k.queue,
                "dead": k.dead,
                "letters": k.letters,
            },
            {
                "subject": k.subject,
                "id": callback.id,
                "now": now,
                "callback": dump(asdict(callback)),
            },
        )
        return reply[0] == "ok"

    async def drop(self, id_: str) -> bool:
        """Forget a dead letter; ``False`` if there is none."""
        k = CallbackKeys(partition_of(id_))
        reply = await self._scripts.run(
            "drop_callback", {"dead": k.dead, "letters": k.letters}, {"id": id_}
        )
        return reply[0] == "ok"

    async def backlog(self) -> Backlog:
        """What waits, in one round trip."""
        found = await self._connection.commands(
            [
                command
                for k in _partitions()
                for command in (
                    ("ZCARD", k.out),
                    ("ZRANGE", k.since, 0, 0, "WITHSCORES"),
                    ("ZCARD", k.dead),
                    ("GET", k.lost),
                )
            ]
        )
        oldest = [int(float(_score(first))) for first in found[1::4] if first]
        return Backlog(
            subjects=sum(map(int, found[0::4])),
            since=min(oldest, default=None),
            dead=sum(map(int, found[2::4])),
            lost=sum(int(lost or 0) for lost in found[3::4]),
        )


def partition_of(id_: str) -> int:
    """The partition that a callback's id names: ``msg_07_...``."""
    return int(id_[4:6])


def _partitions() -> Iterator[CallbackKeys]:
    return map(CallbackKeys, range(keys.PARTITIONS))


def _score(found: list[object]) -> str:
    # Flat by the protocol, in pairs by some versions of the client.
    first = found[0]
    return str(first[1] if isinstance(first, tuple | list) else found[1])


def _load_letter(entry: str) -> DeadLetter:
    found = json.loads(entry)
    return DeadLetter(**{**found, "callback": Callback(**found["callback"])})
