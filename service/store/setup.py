"""What must be true of a store before it is used: its server, its layout, its partitions."""

from service.store import keys
from service.store.connection import Connection, StoreSetupError

LAYOUT = 2
"""Version of the layout of the data. A store of a newer layout is refused; ``store.lookup`` brings one
of layout 1, whose look-up key was that of the oldest master key, up to this one."""
READABLE = {"layout": (1, LAYOUT), "partitions": (keys.PARTITIONS,)}


async def check_setup(connection: Connection) -> None:
    """Check the server; write the layout at the first start and hold every later one to it.

    Raises:
        StoreSetupError: the server or its data cannot be used; the message says why.
        UnavailableError: the server does not answer.
    """
    await connection.check()
    for field, ours in (("layout", LAYOUT), ("partitions", keys.PARTITIONS)):
        await connection.command("HSETNX", keys.META, field, ours)
        theirs = int(await connection.command("HGET", keys.META, field))
        if theirs not in READABLE[field]:
            raise StoreSetupError(
                f"the store has {field} {theirs}, this release works with {ours}: "
                f"point REDIS_URL at another database, or use the release that made it"
            )
