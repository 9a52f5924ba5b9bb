"""``countersign telnyx senders``: alphanumeric sender IDs."""

from typing import Annotated

import typer

from service.cli.telnyx.calls import AsJson, Config, Yes, call, confirm, show, show_all

app = typer.Typer(help="Alphanumeric sender IDs.", no_args_is_help=True)


@app.command("list")
def list_(
    profile: Annotated[str | None, typer.Option(help="Those of one messaging profile.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """The account's alphanumeric sender IDs."""
    show_all(
        config,
        lambda account: (
            account.list_sender_ids()
            if profile is None
            else account.list_sender_ids_of_profile(profile)
        ),
        {
            "id": lambda s: s.id,
            "sender": lambda s: s.alphanumeric_sender_id,
            "profile": lambda s: s.messaging_profile_id,
            "US fallback": lambda s: s.us_long_code_fallback,
        },
        as_json=as_json,
    )


@app.command("create")
def create(
    sender: Annotated[str, typer.Argument(help="1 to 11 letters, digits and blanks.")],
    profile: Annotated[str, typer.Option(help="The messaging profile's id.")],
    us_fallback: Annotated[str | None, typer.Option(help="Long code for the US.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Create one on a messaging profile."""
    created = call(
        config,
        lambda account: account.create_sender_id(
            sender, profile, us_long_code_fallback=us_fallback
        ),
    )
    show(created, as_json=as_json)


@app.command("show")
def show_one(id_: str, config: Config = None, as_json: AsJson = False) -> None:
    """One of them."""
    show(call(config, lambda account: account.get_sender_id(id_)), as_json=as_json)


@app.command("delete")
def delete(id_: str, config: Config = None, as_json: AsJson = False, yes: Yes = False) -> None:
    """Delete one: nothing can be sent from it any more."""
    confirm(f"Delete the sender ID {id_}?", yes=yes)
    show(call(config, lambda account: account.delete_sender_id(id_)), as_json=as_json)
