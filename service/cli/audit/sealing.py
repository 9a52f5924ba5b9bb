"""``countersign audit checkpoint``."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.audit.on_store import on_store
from service.cli.telnyx.calls import fail

if TYPE_CHECKING:
    from service.domain.chain import Checkpoint
    from service.domain.keyring import Keyring
    from service.store.connection import Connection


def checkpoint(
    accept_losses: Annotated[
        bool,
        typer.Option(
            "--accept-losses",
            help="Go on where the store lost what was signed (a Cluster's fail-over), and say so for good.",
        ),
    ] = False,
) -> None:
    """Seal what is new and sign the heads now. Needs REDIS_URL and COUNTERSIGN_KEYS."""
    on_store(_checkpoint(accept_losses=accept_losses))


async def _checkpoint(*, accept_losses: bool) -> None:
    from service.cli.store import open_store
    from service.settings import load_keyring

    keyring = load_keyring()
    async with open_store() as connection:
        made = await sign(connection, keyring, accept_losses=accept_losses)
    if made is None:
        typer.echo("There is nothing to sign yet.")
        return
    typer.echo(f"Checkpoint {made.number}: {made.sealed} events, {made.hash}")
    for loss in made.losses:
        if loss.number == made.number:
            typer.echo(
                f"Partition {loss.partition:02d}: what was signed after event {loss.left} is lost."
            )


async def sign(
    connection: "Connection", keyring: "Keyring", *, accept_losses: bool = False
) -> "Checkpoint | None":
    """Seal what is new; gives the checkpoint that signs it. ``None``: there are no events."""
    from service.clock import SystemClock
    from service.flow.sealing import BrokenChainError, Sealing
    from service.store.chain import ChainStore
    from service.store.scripts import Scripts
    from service.telemetry import Metrics

    store = ChainStore(connection, Scripts(connection))
    sealing = Sealing(store, keyring, SystemClock(), Metrics())
    await sealing.seal()
    try:
        made = await (sealing.accept_losses() if accept_losses else sealing.checkpoint())
    except BrokenChainError as error:
        fail(
            f"nothing was signed: {error}. If that is no fail-over of yours, somebody changed what is in "
            "Redis: keep a copy. To go on: countersign audit checkpoint --accept-losses"
        )
    return made or await store.last_checkpoint()
