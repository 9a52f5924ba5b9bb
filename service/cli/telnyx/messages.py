"""``countersign telnyx messages``."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.telnyx.calls import (
    AsJson,
    Config,
    Yes,
    call,
    confirm,
    fail,
    read_given,
    show,
    show_all,
)

if TYPE_CHECKING:
    from service.telnyx.outgoing import Outgoing

app = typer.Typer(help="Send, schedule, read and cancel messages.", no_args_is_help=True)

To = Annotated[str, typer.Argument(help="The recipient, E.164.")]
From = Annotated[str | None, typer.Option("--from", help="The sender.")]
Profile = Annotated[str | None, typer.Option("--profile", help="The messaging profile's id.")]
Text = Annotated[str | None, typer.Option("--text", help="The text.")]
Media = Annotated[list[str] | None, typer.Option("--media", help="URL of a picture; repeatable.")]
WebhookUrl = Annotated[str | None, typer.Option("--webhook-url", help="Where Telnyx reports to.")]

_KINDS = "generic, long_code, short_code, number_pool or alphanumeric"


@app.command("send")
def send(
    to: To,
    kind: Annotated[str, typer.Option(help=f"The endpoint: {_KINDS}.")] = "generic",
    from_: From = None,
    profile: Profile = None,
    text: Text = None,
    media: Media = None,
    webhook_url: WebhookUrl = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send one message; it is asked for once, and costs what Telnyx charges."""
    from service.telnyx import outgoing

    forms: dict[str, type[Outgoing]] = {
        "generic": outgoing.Generic,
        "long_code": outgoing.LongCode,
        "short_code": outgoing.ShortCode,
        "number_pool": outgoing.NumberPool,
        "alphanumeric": outgoing.Alphanumeric,
    }
    if kind not in forms:
        fail(f"--kind must be {_KINDS}")
    given = {
        "to": to,
        "from": from_,
        "messaging_profile_id": profile,
        "text": text,
        "media_urls": media or None,
        "webhook_url": webhook_url,
    }
    _send(config, forms[kind], given, as_json=as_json)


@app.command("send-group")
def send_group(
    to: Annotated[list[str], typer.Argument(help="The recipients, at most 8.")],
    from_: Annotated[str, typer.Option("--from", help="The sender.")],
    text: Text = None,
    media: Media = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send a group MMS."""
    from service.telnyx.outgoing import GroupMms

    given = {"to": to, "from": from_, "text": text, "media_urls": media or None}
    _send(config, GroupMms, given, as_json=as_json)


@app.command("schedule")
def schedule(
    to: To,
    at: Annotated[
        datetime, typer.Option("--at", help="When, in local time; 5 minutes to 5 days ahead.")
    ],
    from_: From = None,
    profile: Profile = None,
    text: Text = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have Telnyx send a message later."""
    from service.telnyx.outgoing import Scheduled

    given = {
        "to": to,
        "from": from_,
        "messaging_profile_id": profile,
        "text": text,
        "send_at": at.astimezone(),
    }
    _send(config, Scheduled, given, as_json=as_json)


@app.command("send-whatsapp")
def send_whatsapp(
    to: To,
    from_: Annotated[str, typer.Option("--from", help="The sender.")],
    template: Annotated[str, typer.Option(help="Name of an approved template.")],
    language: Annotated[str, typer.Option(help="Of the template, such as en_US.")],
    components: Annotated[
        str, typer.Option(help="JSON: the template's components with their parameters.")
    ] = "[]",
    profile: Profile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send a WhatsApp template."""
    from service.telnyx.outgoing import WhatsApp

    try:
        parts = json.loads(components)
    except ValueError:
        fail("--components must be JSON")
    content = {"name": template, "language": {"code": language}, "components": parts}
    given = {
        "to": to,
        "from": from_,
        "messaging_profile_id": profile,
        "whatsapp_message": {"type": "template", "template": content},
    }
    _send(config, WhatsApp, given, as_json=as_json)


@app.command("show")
def show_message(id_: str, config: Config = None, as_json: AsJson = False) -> None:
    """One message; Telnyx keeps them for 10 days."""
    show(call(config, lambda account: account.retrieve_message(id_)), as_json=as_json)


@app.command("group")
def group(id_: str, config: Config = None, as_json: AsJson = False) -> None:
    """The messages of a group MMS."""
    show_all(
        config,
        lambda account: account.retrieve_group(id_),
        {
            "id": lambda m: m.id,
            "to": lambda m: [to.phone_number for to in m.to],
            "status": lambda m: m.status,
        },
        as_json=as_json,
    )


@app.command("cancel")
def cancel(id_: str, config: Config = None, as_json: AsJson = False, yes: Yes = False) -> None:
    """Cancel a scheduled message, until a minute before it is to leave."""
    confirm(f"Cancel the message {id_}?", yes=yes)
    show(call(config, lambda account: account.cancel_scheduled(id_)), as_json=as_json)


def _send(config: Config, form: "type[Outgoing]", given: dict[str, Any], *, as_json: bool) -> None:
    message = read_given(form, given)
    show(call(config, lambda account: account.send(message)), as_json=as_json)
