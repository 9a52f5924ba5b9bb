"""``countersign telnyx profiles``, and what hangs on a profile: metrics, opt-outs, its secret."""

from typing import Annotated, cast

import typer

from service.cli.output import flat, print_json, print_table
from service.cli.telnyx.calls import AsJson, Config, Yes, call, confirm, fail, show, show_all

app = typer.Typer(help="Messaging profiles.", no_args_is_help=True)

_TIME_FRAMES = ("1h", "3h", "24h", "3d", "7d", "30d")


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Option(help="A part of the name.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """The account's messaging profiles."""
    show_all(
        config,
        lambda account: account.list_profiles(name=name),
        {
            "id": lambda p: p.id,
            "name": lambda p: p.name,
            "enabled": lambda p: p.enabled,
            "webhook": lambda p: p.webhook_url,
            "API version": lambda p: p.webhook_api_version,
            "countries": lambda p: p.whitelisted_destinations,
        },
        as_json=as_json,
    )


@app.command("show")
def show_one(profile: str, config: Config = None, as_json: AsJson = False) -> None:
    """One profile; its secret is masked."""
    show(call(config, lambda account: account.get_profile(profile)), as_json=as_json)


def metrics(
    profile: Annotated[str | None, typer.Argument(help="Its id; all of them without.")] = None,
    time_frame: Annotated[str, typer.Option(help=f"One of {', '.join(_TIME_FRAMES)}.")] = "24h",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Figures of the messaging profiles."""
    from service.telnyx.account import TimeFrame

    if time_frame not in _TIME_FRAMES:
        fail(f"--time-frame must be one of {', '.join(_TIME_FRAMES)}")
    frame = cast("TimeFrame", time_frame)
    if profile is not None:
        one = profile
        show(call(config, lambda account: account.get_metrics(one, frame)), as_json=as_json)
        return
    found = [m.as_it_came() for m in call(config, lambda account: account.list_metrics(frame))]
    if as_json:
        for each in found:
            print_json(each)
        return
    rows = [flat(each) for each in found]
    columns = list(dict.fromkeys(name for row in rows for name in row if name != "record_type"))
    print_table(columns, [[row.get(name) for name in columns] for row in rows])


def opt_outs(
    profile: Annotated[str | None, typer.Option(help="Those of one messaging profile.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Who sent STOP, as Telnyx keeps it; what the service keeps: countersign opt-outs list."""
    show_all(
        config,
        lambda account: account.all_opt_outs(messaging_profile_id=profile),
        {
            "person": lambda o: o.to,
            "sender": lambda o: o.from_,
            "profile": lambda o: o.messaging_profile_id,
            "keyword": lambda o: o.keyword,
            "since": lambda o: o.created_at,
        },
        as_json=as_json,
    )


def regenerate_secret(
    profile: str, config: Config = None, as_json: AsJson = False, yes: Yes = False
) -> None:
    """Make a new secret for a profile; the old one is dead at once. It is shown here and nowhere else."""
    confirm(f"Replace the secret of the profile {profile}?", yes=yes)
    renewed = call(config, lambda account: account.regenerate_secret(profile))
    if renewed.v1_secret is None:
        fail("the secret was replaced, but Telnyx did not say by what: see the Telnyx portal")
    secret = renewed.v1_secret.get_secret_value()
    if as_json:
        print_json({"id": renewed.id, "v1_secret": secret})
    else:
        typer.echo(secret)
