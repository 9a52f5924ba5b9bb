"""``countersign audit``: the trail of everything that was sent, and why."""

import typer

from service.cli.audit.archiving import archive
from service.cli.audit.erasing import erase
from service.cli.audit.reading import export, tail
from service.cli.audit.sealing import checkpoint
from service.cli.audit.verifying import public_key, verify

app = typer.Typer(help="The audit trail: everything that was sent, and why.", no_args_is_help=True)
app.command()(tail)
app.command()(export)
app.command()(verify)
app.command()(checkpoint)
app.command()(public_key)
app.command()(erase)
app.command()(archive)
