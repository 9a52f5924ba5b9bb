"""``countersign telnyx``: the account as an operator sees it and sets it up."""

import typer

from service.cli.telnyx import autoresponses, messages, numbers, profiles, senders

app = typer.Typer(help="The Telnyx account: look at it, set it up.", no_args_is_help=True)
app.add_typer(messages.app, name="messages")
app.add_typer(senders.app, name="senders")
app.add_typer(numbers.app, name="numbers")
app.add_typer(profiles.app, name="profiles")
app.add_typer(autoresponses.app, name="autoresponses")
app.command("metrics")(profiles.metrics)
app.command("opt-outs")(profiles.opt_outs)
app.command("regenerate-secret")(profiles.regenerate_secret)
app.command("lookup")(numbers.lookup)
