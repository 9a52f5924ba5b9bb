"""``countersign audit verify|public-key``."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.audit.files import checkpoints_of, read_beside, read_lines
from service.cli.telnyx.calls import fail

if TYPE_CHECKING:
    from nacl.signing import VerifyKey

    from service.domain.chain import Checkpoint
    from service.domain.chain_check import ChainCheck

_TAMPERED = 1
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(help="Archives in their order, then what was written by: audit export."),
    ],
    public_key: Annotated[
        list[str],
        typer.Option(
            help="As printed by: audit public-key; or a file with such. Several may be given."
        ),
    ],
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            help="Checkpoints that you kept, beside FILE.checkpoints. Several may be given.",
            show_default=False,
        ),
    ] = None,
    behind: Annotated[
        int | None,
        typer.Option(
            help="It is right that the first file begins behind this checkpoint (an archive alone).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check exports and archives, with nothing but the public key: that no sealed event was changed,
    removed, inserted or moved, and that none is missing at the end. Exits with 1 and names the first place
    otherwise."""
    from service.domain.chain_check import TamperedError

    keys = [key for given in public_key for key in _read_keys(given)]
    kept = [read_beside(path) for path in checkpoints or ()]
    # Who has none beside a file names those that he kept.
    beside = [
        kept[0] if kept and not path.exists() else read_beside(path)
        for path in map(checkpoints_of, files)
    ]
    signed = [one for each in (*beside, *kept) for one in each.checkpoints]
    try:
        check = check_files(files, signed, keys, beside[0].behind, known=behind)
    except TamperedError as error:
        typer.echo(f"NOT as it was sealed. {error}", err=True)
        raise typer.Exit(_TAMPERED) from None
    _tell(check, signed)


def _tell(check: "ChainCheck", signed: "Sequence[Checkpoint]") -> None:
    last = max(signed, key=lambda one: one.number, default=None)
    numbers = len({one.number for one in signed})
    typer.echo(
        f"{check.sealed} events are as they were sealed; {check.unsealed} are not sealed yet. "
        + (
            f"Checkpoints: the last of {numbers} is number {last.number}, {last.hash}; "
            f"{check.unsigned} events are sealed behind it."
            if last is not None
            else "Checkpoints: none."
        )
    )
    for loss in check.losses:
        typer.echo(
            f"Lost, as checkpoint {loss.number} says: what was signed of partition "
            f"{loss.partition:02d} after event {loss.left}."
        )


def check_files(
    files: Sequence[Path],
    checkpoints: "Sequence[Checkpoint]",
    keys: "Sequence[VerifyKey]",
    behind: int | None,
    *,
    known: int | None = None,
) -> "ChainCheck":
    """Read them one after the other, as one trail. ``behind``: the checkpoint that they begin behind;
    ``known``: the one that they may begin behind. Raises TamperedError."""
    from service.domain.chain import trusted_keys
    from service.domain.chain_check import ChainCheck, TamperedError, check_checkpoints

    trusted = trusted_keys(checkpoints, keys)
    signed = check_checkpoints(checkpoints, trusted)
    base = next((one for one in signed if one.number == behind), None)
    if behind is not None and base is None:
        raise TamperedError("checkpoint", f"checkpoint {behind}", "it is not there")
    check = ChainCheck(signed, base, keys=trusted, known=behind == known)
    for file in files:
        for line in read_lines(file):
            check.take(line)
    check.end()
    if check.sealed and not signed:
        raise TamperedError("checkpoint", "checkpoint 1", "there is none, so nothing is proven")
    return check


def public_key() -> None:
    """Print the keys that checkpoints are checked with, the newest first. Needs COUNTERSIGN_KEYS."""
    from service.domain.chain import audit_public_keys
    from service.settings import SettingsError, load_keyring

    try:
        for key in audit_public_keys(load_keyring()).values():
            typer.echo(key)
    except SettingsError as error:
        fail(str(error))


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
