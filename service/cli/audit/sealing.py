"""``countersign audit verify|checkpoint|public-key``."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.audit.on_store import on_store
from service.cli.telnyx.calls import fail

if TYPE_CHECKING:
    from nacl.signing import VerifyKey

    from service.domain.chain import Checkpoint

_TAMPERED = 1
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


def checkpoints_of(export: Path) -> Path:
    """Where an export has its checkpoints."""
    return export.with_name(f"{export.name}.checkpoints")


def verify(
    export: Annotated[Path, typer.Argument(help="As written by: audit export.")],
    public_key: Annotated[
        list[str],
        typer.Option(
            help="As printed by: audit public-key; or a file with such. Several may be given."
        ),
    ],
    checkpoints: Annotated[
        Path | None, typer.Option(help="Instead of EXPORT.checkpoints.", show_default=False)
    ] = None,
) -> None:
    """Check an export, with nothing but the public key: that no sealed event was changed, removed, inserted
    or moved, and that none is missing at the end. Exits with 1 and names the first place otherwise."""
    from service.domain.chain_check import ChainCheck, TamperedError, check_checkpoints

    keys = [key for given in public_key for key in _read_keys(given)]
    try:
        signed = check_checkpoints(_read_checkpoints(checkpoints or checkpoints_of(export)), keys)
        check = ChainCheck(signed)
        for line in _read_lines(export):
            check.take(line)
        check.end()
    except TamperedError as error:
        typer.echo(f"NOT as it was sealed. {error}", err=True)
        raise typer.Exit(_TAMPERED) from None
    last = f"the last of {len(signed)} is number {signed[-1].number}" if signed else "none"
    typer.echo(
        f"{check.sealed} events are as they were sealed; {check.unsealed} are not sealed yet. "
        f"Checkpoints: {last}."
    )


def checkpoint() -> None:
    """Seal what is new and sign the heads now. Needs REDIS_URL and COUNTERSIGN_KEYS."""
    on_store(_checkpoint())


def public_key() -> None:
    """Print the keys that checkpoints are checked with, the newest first. Needs COUNTERSIGN_KEYS."""
    from service.domain.chain import audit_public_keys
    from service.settings import SettingsError, load_keyring

    try:
        for key in audit_public_keys(load_keyring()).values():
            typer.echo(key)
    except SettingsError as error:
        fail(str(error))


async def _checkpoint() -> None:
    from service.cli.store import open_store
    from service.clock import SystemClock
    from service.flow.sealing import Sealing
    from service.settings import load_keyring
    from service.store.chain import ChainStore
    from service.store.scripts import Scripts
    from service.telemetry import Metrics

    keyring = load_keyring()
    async with open_store() as connection:
        store = ChainStore(connection, Scripts(connection))
        sealing = Sealing(store, keyring, SystemClock(), Metrics())
        await sealing.seal()
        made = await sealing.checkpoint() or await store.last_checkpoint()
    if made is None:
        typer.echo("There is nothing to sign yet.")
    else:
        typer.echo(
            f"Checkpoint {made.number}: {sum(h.sequence for h in made.heads.values())} events."
        )


def _read_keys(given: str) -> "Iterator[VerifyKey]":
    from nacl.signing import VerifyKey

    text = given
    if not _KEY.fullmatch(given):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            fail("--public-key: is neither 64 hexadecimal digits nor a file that can be read")
    for word in text.split():
        if not _KEY.fullmatch(word):
            fail(f"{given}: is no list of public keys, each of 64 hexadecimal digits")
        yield VerifyKey(bytes.fromhex(word))


def _read_checkpoints(path: Path) -> "Iterator[Checkpoint]":
    from service.domain.chain import read_checkpoint

    for line in _read_lines(path):
        try:
            yield read_checkpoint(line)
        except ValueError as error:
            fail(f"{path}: {error}")


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                found = json.loads(line)
                if not isinstance(found, dict):
                    fail(f"{path}: line {number} is no JSON object")
                yield found
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ValueError:
        fail(f"{path}: is not JSON, a document a line")
