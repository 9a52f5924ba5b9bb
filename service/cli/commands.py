"""The subcommands and their options; what they do is in the modules beside this one."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.cli.apps import app as apps_app
from service.cli.audit import app as audit_app
from service.cli.bench.command import bench
from service.cli.callbacks import callbacks
from service.cli.guard import app as guard_app
from service.cli.keyring import keyring
from service.cli.migrate import app as migrate_app
from service.cli.opt_outs import app as opt_outs_app
from service.cli.routing import routing
from service.cli.simulate import simulate
from service.cli.telnyx import app as telnyx_app
from service.cli.texts import app as texts_app

app = typer.Typer(
    name="countersign",
    help="Two-factor authentication over Telnyx Messaging, self-hosted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(apps_app, name="apps")
app.add_typer(audit_app, name="audit")
app.add_typer(keyring, name="keyring")
app.add_typer(telnyx_app, name="telnyx")
app.add_typer(callbacks, name="callbacks")
app.command()(bench)
app.command()(routing)
app.command()(simulate)
app.add_typer(guard_app, name="guard")
app.add_typer(opt_outs_app, name="opt-outs")
app.add_typer(texts_app, name="texts")
app.add_typer(migrate_app, name="migrate")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="COUNTERSIGN_CONFIG", help="The TOML file.", show_default=False
    ),
]
Expires = Annotated[
    str | None, typer.Option(help="When the key ends, from now: 90d, 12h ...", show_default=False)
]


def fail(message: str) -> NoReturn:
    """End with a message for the person at the terminal."""
    typer.echo(f"countersign: {message}", err=True)
    raise typer.Exit(1)


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Of the service.", min=1, max=65535)] = 8000,
    sandbox_port: Annotated[int, typer.Option(help="Of the sandbox.", min=1, max=65535)] = 8025,
    data: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".countersign"),
    config: Config = None,
) -> None:
    """Run everything on this machine: an embedded Valkey, the Telnyx sandbox, the service."""
    from service.cli.local import LocalError, run_local

    try:
        raise typer.Exit(run_local(data, port=port, sandbox_port=sandbox_port, config=config))
    except LocalError as error:
        fail(str(error))


@app.command()
def serve(
    role: Annotated[str, typer.Option(help="all, api or worker.")] = "all",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    processes: Annotated[
        int, typer.Option(help="How many processes share the port.", min=1, max=256)
    ] = 1,
    config: Config = None,
    inherited: Annotated[int | None, typer.Option(hidden=True)] = None,
    index: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Run the service against a Redis or Valkey that is there already (production)."""
    from service.app import Role
    from service.cli.processes import ProcessesError, run_processes
    from service.cli.production import Place, serve_service
    from service.domain.errors import UnavailableError
    from service.settings import SettingsError, load_settings
    from service.store.connection import StoreSetupError

    if role not in set(Role):
        fail(f"--role must be one of {', '.join(Role)}")
    try:
        settings = load_settings(config)
        if processes > 1:
            run_processes(processes, role, host, port, config)
        else:
            place = Place(host, port, inherited, index)
            asyncio_run(serve_service(settings, Role(role), place))
    except (SettingsError, StoreSetupError, ProcessesError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")
    except OSError as error:
        fail(f"{host}:{port} cannot be listened on: {error.strerror or error}")


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8025,
    webhook_url: Annotated[
        str, typer.Option(help="The messaging profile's webhook URL.")
    ] = "http://127.0.0.1:8000/webhooks/telnyx",
    report_delay: Annotated[float, typer.Option(help="Seconds to a delivery report.", min=0)] = 0.1,
    data: Annotated[
        Path | None, typer.Option(help="Where it is kept; by default in memory only.")
    ] = None,
) -> None:
    """Run the Telnyx emulator alone. TELNYX_API_KEY and SANDBOX_SEED (Base64 of 32 bytes) may be set."""
    from service.cli.emulator import serve_sandbox

    try:
        asyncio_run(serve_sandbox(host, port, webhook_url, report_delay, data))
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{host}:{port} cannot be listened on: {error.strerror or error}")


@app.command()
def doctor(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Examine the configuration, Redis, the Telnyx account, the webhook URL, and what hashes cost."""
    from service.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(config, as_json=as_json))


@keys.command("create")
def keys_create(
    app_name: Annotated[
        str, typer.Option("--app", help="The app that the key belongs to.")
    ] = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="verifications, opt-outs, audit or admin; may be given several times."),
    ] = None,
    expires: Expires = None,
) -> None:
    """Make an API key. It is shown once; only its hash is stored."""
    from service.cli.api_keys import create_key

    _on_store(create_key(app_name, scope or ["verifications"], expires))


@keys.command("list")
def keys_list() -> None:
    """List API keys: when each was made, last used and ends."""
    from service.cli.api_keys import list_keys

    _on_store(list_keys())


@keys.command("rotate")
def keys_rotate(
    key_id: Annotated[str, typer.Argument(help="As shown by: keys list.")],
    overlap: Annotated[
        str, typer.Option(help="How long the old secret stays right: 24h, 30m ... or 0s.")
    ] = "24h",
    expires: Expires = None,
) -> None:
    """Give an API key a new secret, shown once; the old one dies after the overlap."""
    from service.cli.api_keys import rotate_key

    _on_store(rotate_key(key_id, overlap, expires))


@keys.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="As shown by: keys list.")]) -> None:
    """Revoke an API key for good; instances notice within seconds."""
    from service.cli.api_keys import revoke_key

    _on_store(revoke_key(key_id))


@app.command()
def openapi(
    write: Annotated[bool, typer.Option("--write", help="Write openapi/openapi.json.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail if that file is stale.")] = False,
) -> None:
    """Print the OpenAPI document, write it, or check that it is current."""
    from service.api.application import create_api
    from service.api.openapi import to_document, to_json

    path = Path("openapi/openapi.json")
    document = to_json(to_document(create_api(None)))
    if write:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(document)
    elif check:
        if not path.is_file() or path.read_bytes() != document:
            fail(f"{path} is stale; write it again with: make openapi")
    else:
        sys.stdout.buffer.write(document)


def asyncio_run(work: object) -> None:
    """Run on uvloop where it exists."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)  # type: ignore[arg-type]
    else:
        uvloop.run(work)  # type: ignore[arg-type]


def _on_store(work: object) -> None:
    from service.cli.api_keys import KeyCommandError
    from service.domain.errors import UnavailableError
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError

    try:
        asyncio.run(work)  # type: ignore[arg-type]
    except (KeyCommandError, SettingsError, StoreSetupError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")
