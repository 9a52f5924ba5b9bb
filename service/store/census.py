"""Which master keys the records in Redis still need, so that none is retired too early."""

from collections.abc import Callable
from dataclasses import dataclass

from service.domain.proof import LIFE
from service.domain.verification import Status
from service.store.connection import Connection
from service.store.records import read_base

_BATCH = 200
_FIELDS = ("base", "more", "app", "expires_at", "attempts_allowed", "status", "closed_at")
_OPEN = (Status.PENDING, Status.UNDELIVERABLE)


@dataclass(frozen=True, slots=True)
class Need:
    """How many live verifications need a key, and until when at the latest (milliseconds)."""

    records: int = 0
    until: int = 0

    def also(self, until: int) -> "Need":
        return Need(self.records + 1, max(self.until, until))


async def count_needs(
    connection: Connection, now: int, seen: Callable[[int], object] = lambda _: None
) -> dict[str, Need]:
    """The needs by key id, from one pass over all verifications; ``seen`` is told how many were read.

    A verification needs its key while its code may be typed, and while a proof that it gave may be
    checked. Opt-outs, limits and all else that outlives it lie under the look-up key.
    """
    needs: dict[str, Need] = {}
    batch: list[str] = []
    count = 0
    async for name in connection.scan("cs:{*}:v:*"):
        batch.append(name)
        if len(batch) == _BATCH:
            count += await _add(connection, batch, now, needs)
            seen(count)
            batch = []
    count += await _add(connection, batch, now, needs)
    seen(count)
    return needs


async def _add(connection: Connection, names: list[str], now: int, needs: dict[str, Need]) -> int:
    replies = await connection.commands([("HMGET", name, *_FIELDS) for name in names])
    for reply in replies:
        fields = {name: value for name, value in zip(_FIELDS, reply, strict=True) if value}
        if not fields:
            continue  # it expired meanwhile
        base = read_base(fields)
        until = _needed_until(base, fields["status"], int(fields.get("closed_at", 0)))
        if until > now:
            needs[base["key_id"]] = needs.get(base["key_id"], Need()).also(until)
    return len(names)


def _needed_until(base: dict[str, object], status: str, closed_at: int) -> int:
    if status in _OPEN:
        return int(str(base["expires_at"]))
    if status == Status.APPROVED and base.get("nonce") is not None:
        return closed_at + LIFE
    return 0
