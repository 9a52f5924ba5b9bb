"""``countersign audit erase``."""

from typing import Annotated

import typer

from service.cli.audit.on_store import on_store
from service.cli.telnyx.calls import fail


def erase(
    recipient: Annotated[
        str, typer.Option(help="The person's number (E.164).", prompt=True, hide_input=True)
    ],
) -> None:
    """Make a person's events nobody's, for good. Needs REDIS_URL and COUNTERSIGN_KEYS.

    The events stay, and the chain holds: they carry a pseudonym, and what tied it to the number is
    deleted, with the person's records and known clients. Opt-outs stay, so that they are honoured.
    Without --recipient the number is asked for, so that it stands in no shell's history.
    """
    on_store(_erase(recipient))


async def _erase(number: str) -> None:
    from service.cli.store import open_store
    from service.clock import SystemClock
    from service.domain.recipient import InvalidNumberError, parse_recipient
    from service.settings import load_keyring
    from service.store.lookup import open_keyring
    from service.store.people import PendingError, PeopleStore, UpgradeOpenError
    from service.store.scripts import Scripts

    try:
        recipient = parse_recipient(number)
    except InvalidNumberError as error:
        fail(f"--recipient: {error}")
    now = SystemClock().now()
    async with open_store() as connection:
        keyring = await open_keyring(connection, load_keyring(), now)
        people = PeopleStore(connection, Scripts(connection))
        try:
            pseudonym = await people.erase(keyring.lookup_id(recipient.e164), now, actor="operator")
        except UpgradeOpenError:
            fail("the upgrade has to end first: countersign migrate run")
        except PendingError as pending:
            fail(f"{pending} is under way: cancel it, or try again when it has ended")
    if pseudonym is None:
        fail(f"the audit trail has nothing that leads to {recipient.masked}")
    typer.echo(
        f"Nothing leads from {recipient.masked} to the events of {pseudonym} any more, but for backups "
        "of Redis, and its append-only file until that is rewritten (BGREWRITEAOF)."
    )
