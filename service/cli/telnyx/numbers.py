"""``countersign telnyx numbers``: hosted numbers and their messaging settings."""

from typing import Annotated

import typer

from service.cli.telnyx.calls import AsJson, Config, call, fail, show, show_all

app = typer.Typer(help="Hosted numbers.", no_args_is_help=True)


@app.command("list")
def list_(
    profile: Annotated[str | None, typer.Option(help="Those of one messaging profile.")] = None,
    contains: Annotated[str | None, typer.Option(help="A part of the number.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """The account's numbers."""
    show_all(
        config,
        lambda account: account.list_numbers(messaging_profile_id=profile, contains=contains),
        {
            "number": lambda n: n.phone_number,
            "country": lambda n: n.country_code,
            "type": lambda n: n.type,
            "profile": lambda n: n.messaging_profile_id,
            "product": lambda n: n.messaging_product,
            "tags": lambda n: n.tags,
        },
        as_json=as_json,
    )


@app.command("show")
def show_one(number: str, config: Config = None, as_json: AsJson = False) -> None:
    """One number, by number or id."""
    show(call(config, lambda account: account.get_number(number)), as_json=as_json)


@app.command("update")
def update(
    number: str,
    profile: Annotated[
        str | None, typer.Option(help='Messaging profile to put it on; "" takes it off.')
    ] = None,
    product: Annotated[str | None, typer.Option(help="Messaging product, such as A2P.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help='Instead of its tags; repeatable; "" for none.')
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Change a number's messaging settings; what is not named stays."""
    tags = [one for one in tag if one] if tag else None
    if profile is None and product is None and tags is None:
        fail("nothing to change: give --profile, --product or --tag")
    updated = call(
        config,
        lambda account: account.update_number(
            number, messaging_profile_id=profile, messaging_product=product, tags=tags
        ),
    )
    show(updated, as_json=as_json)


def lookup(number: str, config: Config = None, as_json: AsJson = False) -> None:
    """Carrier and line type of any number. Telnyx charges for it."""
    show(call(config, lambda account: account.lookup(number)), as_json=as_json)
