"""What must be true of a store before it is used: its server, its layout, its partitions."""

from service.store import keys
from service.store.connection import Connection, StoreSetupError

LAYOUT = 2
"""Version of the layout of the data; ``store.migrations`` brings the one before up to it."""
LAYOUTS = (LAYOUT - 1, LAYOUT)
"""Those that this release works with."""


async def check_setup(connection: Connection) -> None:
    """Check the server; write the layout at the first start and hold every later one to it.

    Raises:
        StoreSetupError: the server or its data cannot be used; the message says why.
        UnavailableError: the server does not answer.
    """
    await connection.check()
    for field, ours in (("layout", LAYOUT), ("partitions", keys.PARTITIONS)):
        await connection.command("HSETNX", keys.META, field, ours)
    layout, partitions = await connection.command("HMGET", keys.META, "layout", "partitions")
    if fault := layout_fault(int(layout), int(partitions)):
        raise StoreSetupError(f"{fault[0]}: {fault[1]}")


def layout_fault(layout: int, partitions: int) -> tuple[str, str] | None:
    """Why this release cannot work with such data, and what to do; ``None`` if it can."""
    if partitions != keys.PARTITIONS:
        return (
            f"the store has {partitions} partitions, this release works with {keys.PARTITIONS}",
            "point REDIS_URL at another database",
        )
    if layout in LAYOUTS:
        return None
    known = " and ".join(map(str, LAYOUTS))
    said = f"the store has layout {layout}, this release works with {known}"
    if layout > LAYOUT:
        return said, (
            "a newer release has upgraded it; run that one, or go back to the copy of Redis from "
            "before the upgrade"
        )
    return (
        said,
        f"upgrade release by release, first to one that works with {layout} and {layout + 1}",
    )
