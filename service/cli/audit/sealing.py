"""``countersign audit checkpoint``."""

from typing import TYPE_CHECKING

import typer

from service.cli.audit.on_store import on_store

if TYPE_CHECKING:
    from service.domain.chain import Checkpoint
    from service.domain.keyring import Keyring
    from service.store.connection import Connection


def checkpoint() -> None:
    """Seal what is new and sign the heads now. Needs REDIS_URL and COUNTERSIGN_KEYS."""
    on_store(_checkpoint())


async def _checkpoint() -> None:
    from service.cli.store import open_store
    from service.settings import load_keyring

    keyring = load_keyring()
    async with open_store() as connection:
        made = await sign(connection, keyring)
    if made is None:
        typer.echo("There is nothing to sign yet.")
    else:
        typer.echo(
            f"Checkpoint {made.number}: {sum(h.sequence for h in made.heads.values())} events."
        )


async def sign(connection: "Connection", keyring: "Keyring") -> "Checkpoint | None":
    """Seal what is new; gives the checkpoint that signs it. ``None``: there are no events."""
    from service.clock import SystemClock
    from service.flow.sealing import Sealing
    from service.store.chain import ChainStore
    from service.store.scripts import Scripts
    from service.telemetry import Metrics

    store = ChainStore(connection, Scripts(connection))
    sealing = Sealing(store, keyring, SystemClock(), Metrics())
    await sealing.seal()
    return await sealing.checkpoint() or await store.last_checkpoint()
