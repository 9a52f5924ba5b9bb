"""``countersign audit verify|public-key``."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.audit.files import Beside, checkpoints_of, read_beside, read_lines
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
        Path | None, typer.Option(help="Instead of FILE.checkpoints.", show_default=False)
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
    beside = [read_beside(checkpoints or checkpoints_of(file)) for file in files]
    signed = _by_number(beside)
    try:
        check = check_files(files, signed, keys, beside[0].behind, known=behind)
    except TamperedError as error:
        typer.echo(f"NOT as it was sealed. {error}", err=True)
        raise typer.Exit(_TAMPERED) from None
    last = f"the last of {len(signed)} is number {signed[-1].number}" if signed else "none"
    typer.echo(
        f"{check.sealed} events are as they were sealed; {check.unsealed} are not sealed yet. "
        f"Checkpoints: {last}."
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
    from service.domain.chain_check import ChainCheck, TamperedError, check_checkpoints

    signed = check_checkpoints(checkpoints, keys)
    base = next((one for one in signed if one.number == behind), None)
    if behind is not None and base is None:
        raise TamperedError("checkpoint", f"checkpoint {behind}", "it is not there")
    check = ChainCheck(signed, base, known=behind == known)
    for file in files:
        for line in read_lines(file):
            check.take(line)
    check.end()
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


def _by_number(beside: Sequence[Beside]) -> "list[Checkpoint]":
    by_number = {one.number: one for each in beside for one in each.checkpoints}
    return [by_number[number] for number in sorted(by_number)]


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
