"""``countersign texts``: what a code's message says in each language, and how it is sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.telnyx.calls import AsJson, Config, fail

if TYPE_CHECKING:
    from service.domain.code import Code
    from service.domain.texts import Wording
    from service.domain.transaction import Transaction
    from service.settings import TextSettings

app = typer.Typer(
    help="What a code's message says, in each language and for each purpose.",
    no_args_is_help=True,
)
_WIDTH = 36  # of a message on a phone, in letters
_SAMPLES = {"digits": "1234567890", "letters": "KTRWPLBNXD", "mixed": "7KT4RWPNXD"}


@app.command()
def preview(
    locale: Annotated[
        str | None, typer.Option(help="BCP 47: tr, pt-BR ...", show_default=False)
    ] = None,
    country: Annotated[
        str, typer.Option(help="Of the recipient: its language is taken without --locale.")
    ] = "US",
    purpose: Annotated[str, typer.Option(help="Of the verification.")] = "login",
    app_name: Annotated[
        str | None, typer.Option(help="Instead of the configured one.", show_default=False)
    ] = None,
    web_origin: Annotated[
        str | None, typer.Option(help="As in a start, for WebOTP.", show_default=False)
    ] = None,
    app_hash: Annotated[
        str | None, typer.Option(help="As in a start, for SMS Retriever.", show_default=False)
    ] = None,
    payee: Annotated[str | None, typer.Option(help="For a payment.", show_default=False)] = None,
    amount: Annotated[str, typer.Option(help="To the payee.")] = "1234.56",
    currency: Annotated[str, typer.Option(help="Of the amount.")] = "EUR",
    sender: Annotated[
        str | None, typer.Option(help="Whose stop_text has to stand in it.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Each language, in a table.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show a message as it would be sent: encoding, segments, room that is left, and what a phone shows."""
    from service.domain.text import TextError, check_app_hash, web_host
    from service.domain.transaction import PayeeError, Transaction, check_payee

    settings = _load(config, app_name)
    try:
        transaction = Transaction(check_payee(payee), amount, currency) if payee else None
        optional = {
            "host": web_host(web_origin) if web_origin else None,
            "app_hash": check_app_hash(app_hash) if app_hash else None,
            "stop_text": _stop_text(settings, sender, country),
        }
    except (PayeeError, TextError) as error:
        fail(f"an option {error}")
    locales = settings.texts_().locales() if every else [locale]
    rows = [_composed(settings, one, country, purpose, transaction, optional) for one in locales]
    if as_json or every:
        _print_all(rows, as_json=as_json)
    else:
        _print_phone(rows[0])


@app.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List the languages there are, and the configuration's own templates."""
    from babel.core import Locale

    from service.cli.output import print_json, print_table

    settings = _load(config, None)
    texts = settings.texts_()
    found = []
    for tag in texts.locales():
        shipped = {key for key in texts.catalogue if key.partition("@")[0] == tag}
        own = [
            f"{purpose}.{key}"
            for purpose, table in settings.texts.templates.items()
            for key in table
            if key.partition("@")[0] == tag
        ]
        name = Locale.parse(tag, sep="-").english_name if shipped else None
        found.append({"locale": tag, "language": name, "shipped": bool(shipped), "own": own})
    if as_json:
        for one in found:
            print_json(one)
    else:
        print_table(
            ("locale", "language", "shipped", "own templates"), [[*r.values()] for r in found]
        )


def _load(config: Path | None, app_name: str | None) -> "TextSettings":
    from service.settings import SettingsError, load_texts

    try:
        return load_texts(config, app_name=app_name)
    except SettingsError as error:
        fail(str(error))


def _stop_text(settings: "TextSettings", sender: str | None, country: str) -> str | None:
    if sender is None:
        return None
    if sender not in settings.senders:
        fail(f"there is no sender {sender}; there are: {', '.join(settings.senders) or 'none'}")
    return settings.senders[sender].sender(sender).stop_text_in(country)


def _composed(
    settings: "TextSettings",
    locale: str | None,
    country: str,
    purpose: str,
    transaction: "Transaction | None",
    optional: dict[str, str | None],
) -> dict[str, Any]:
    from service.domain.code import Code
    from service.domain.text import TextError

    code = Code(_SAMPLES[settings.codes.alphabet][: settings.codes.length])
    try:
        wording = settings.texts_().wording(
            code,
            purpose=purpose,
            country=country,
            locale=locale,
            transaction=transaction,
            **optional,
        )
    except TextError as error:
        fail(f"nothing fits: the shortest text, {error}; a start would be refused (422)")
    return {"asked": locale or country, **_described(wording, code, optional["app_hash"])}


def _described(wording: "Wording", code: "Code", app_hash: str | None) -> dict[str, Any]:
    from service.domain.segments import measure

    text = wording.say(code)
    size = measure(text)
    described = {
        "locale": wording.locale,
        "wording": wording.variant or "full",
        "encoding": size.encoding,
        "segments": size.segments,
        "characters": size.units,
        "left": size.left,
        "text": text,
    }
    if app_hash:
        described["bytes"] = len(text.encode())
    return described


def _print_all(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    from service.cli.output import print_json, print_table

    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table(
            ("asked", "sent in", "size", "text"),
            [
                (
                    row["asked"],
                    f"{row['locale']} {row['wording']}",
                    f"{row['segments']} x {row['encoding']}, {row['left']} left",
                    row["text"],
                )
                for row in rows
            ],
        )


def _print_phone(row: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    from service.cli.output import print_record
    from service.domain.text import RETRIEVER_BYTES

    shown = {name: value for name, value in row.items() if name not in ("asked", "text")}
    if "bytes" in shown:
        shown["bytes"] = f"{shown['bytes']} of the {RETRIEVER_BYTES} that SMS Retriever reads"
    print_record(shown)
    Console().print(Panel(Text(row["text"]), width=_WIDTH, title="on the phone"))
