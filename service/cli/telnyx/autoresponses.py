"""``countersign telnyx autoresponses``: what Telnyx answers to STOP, START, HELP and words of your own."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import print_json
from service.cli.telnyx.calls import (
    AsJson,
    Config,
    Yes,
    call,
    call_with,
    confirm,
    fail,
    read_given,
    show,
    show_all,
)

if TYPE_CHECKING:
    from service.telnyx.autoresponses import Change
    from service.telnyx.outgoing import AutoresponseBody
    from service.telnyx.resources import Autoresponse

app = typer.Typer(help="Auto-responses of a messaging profile.", no_args_is_help=True)

Profile = Annotated[str, typer.Argument(help="The messaging profile's id.")]
Op = Annotated[str, typer.Option(help="start, stop or info.")]
Keyword = Annotated[list[str], typer.Option("--keyword", help="Repeatable, at most 20.")]
Country = Annotated[str, typer.Option(help="ISO country of the sender, or *.")]
Answer = Annotated[str | None, typer.Option("--text", help="The answer, 20 characters or more.")]

_SIGNS = {
    "create": "[green]+[/]",
    "update": "[yellow]~[/]",
    "delete": "[red]-[/]",
    "same": " ",
    "foreign": "[dim]?[/]",
}


@app.command("list")
def list_(profile: Profile, config: Config = None, as_json: AsJson = False) -> None:
    """The auto-responses of a profile."""
    show_all(
        config,
        lambda account: account.list_autoresponses(profile),
        {
            "id": lambda a: a.id,
            "op": lambda a: a.op,
            "country": lambda a: a.country_code,
            "keywords": lambda a: a.keywords,
            "answer": lambda a: a.resp_text,
        },
        as_json=as_json,
    )


@app.command("create")
def create(
    profile: Profile,
    op: Op,
    keyword: Keyword,
    country: Country = "*",
    text: Answer = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Create one."""
    body = _body(op, keyword, country, text)
    show(call(config, lambda account: account.create_autoresponse(profile, body)), as_json=as_json)


@app.command("show")
def show_one(profile: Profile, id_: str, config: Config = None, as_json: AsJson = False) -> None:
    """One of them."""
    show(call(config, lambda account: account.get_autoresponse(profile, id_)), as_json=as_json)


@app.command("update")
def update(
    profile: Profile,
    id_: str,
    op: Op,
    keyword: Keyword,
    country: Country = "*",
    text: Answer = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Replace one whole."""
    body = _body(op, keyword, country, text)
    show(
        call(config, lambda account: account.update_autoresponse(profile, id_, body)),
        as_json=as_json,
    )


@app.command("delete")
def delete(profile: Profile, id_: str, config: Config = None, yes: Yes = False) -> None:
    """Delete one. STOP, START and HELP keep their meaning without."""
    confirm(f"Delete the auto-response {id_}?", yes=yes)
    call(config, lambda account: account.delete_autoresponse(profile, id_))


@app.command("apply")
def apply(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference only.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what the configuration does not name.")
    ] = False,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Make Telnyx' auto-responses those of the configuration's [[autoresponses]]; shows the
    difference first, and asks."""
    from service.telnyx import autoresponses

    changes = call_with(
        config,
        lambda account, settings: autoresponses.plan(account, settings.autoresponses, prune=prune),
    )
    if not changes:
        fail("the configuration (--config) names no [[autoresponses]]")
    _show_changes(changes, as_json=as_json)
    pending = [c for c in changes if c.action in ("create", "update", "delete")]
    if dry_run or not pending:
        return
    confirm(f"Make these {len(pending)} change(s)?", yes=yes)
    made: list[Change] = []
    try:
        call(config, lambda account: autoresponses.apply(account, pending, made.append))
    finally:
        typer.echo(f"{len(made)} of {len(pending)} change(s) made.", err=as_json)


def _show_changes(changes: "list[Change]", *, as_json: bool) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for change in changes:
        if as_json:
            print_json(
                {
                    "action": change.action,
                    "messaging_profile_id": change.profile_id,
                    "wanted": change.wanted and change.wanted.body().model_dump(mode="json"),
                    "present": change.present and change.present.as_it_came(),
                }
            )
            continue
        line = f"{change.profile_id} {_in_words(change.wanted or change.present)}"
        console.print(f"{_SIGNS[change.action]} {change.action:<7} {escape(line)}", highlight=False)
        if change.action == "update":
            console.print(f"  was     {_in_words(change.present)}", style="dim", markup=False)


def _in_words(one: "AutoresponseBody | Autoresponse | None") -> str:
    if one is None:
        return "-"
    words = ", ".join(one.keywords)
    return f"{one.op} {one.country_code}: {words} -> {one.resp_text or 'no answer'}"


def _body(op: str, keywords: list[str], country: str, text: str | None) -> "AutoresponseBody":
    from service.telnyx.outgoing import AutoresponseBody

    given = {"op": op, "keywords": keywords, "country_code": country, "resp_text": text}
    return read_given(AutoresponseBody, given)
