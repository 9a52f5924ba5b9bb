"""``countersign doctor``: every check, shown to a person or a program."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.doctor.account import check_account
from service.doctor.finding import Finding, Level, fail, ok
from service.doctor.hashing import check_hashing, measure_profiles
from service.doctor.store import check_store
from service.doctor.webhook import check_webhook
from service.settings import Settings, SettingsError, load_settings, load_store

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def run_doctor(config: Path | None, *, as_json: bool) -> int:
    """Look at everything; gives the exit status: 1 if anything failed."""
    found = asyncio.run(examine(config))
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _show(found)
    return int(any(finding.level is Level.FAIL for finding in found))


async def examine(config: Path | None) -> list[Finding]:
    """All findings, in the order in which a person would mend them."""
    try:
        settings = load_settings(config)
    except SettingsError as error:
        return [*check_faults(error), *await _store_alone()]
    account, store, webhook = await asyncio.gather(
        check_account(settings.telnyx(), _profiles(settings), settings.public_url),
        check_store(
            settings.redis_url.get_secret_value(),
            settings.tls(),
            settings.keyring(),
            copied=settings.redis.durability == "replica",
        ),
        check_webhook(settings.public_url),
    )
    # By itself, for whatever runs beside it would be measured too.
    speeds = measure_profiles(settings.hash.threads)
    hashing = check_hashing(
        speeds,
        profile=settings.hash.profile,
        length=settings.codes.length,
        alphabet=settings.codes.alphabet,
        ttl=settings.codes.ttl,
    )
    return [ok("configuration", "no faults"), *store, *account, *webhook, *hashing]


def check_faults(error: SettingsError) -> list[Finding]:
    """One finding for each fault."""
    _, *faults = str(error).splitlines()
    return [
        fail("configuration", fault.strip(), "mend it, see deploy/guides/configuration.md")
        for fault in faults or [str(error)]
    ]


async def _store_alone() -> list[Finding]:
    """What can be looked at with a configuration that has faults."""
    try:
        url, tls = load_store()
    except SettingsError:
        return []
    return await check_store(url, tls, None)


def _profiles(settings: Settings) -> list[str]:
    ids = [sender.messaging_profile_id for sender in settings.senders.values()]
    return [id_ for id_ in ids if id_ is not None]


def _show(found: Sequence[Finding]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "what", "seen", "what to do"):
        table.add_column(name)
    for finding in found:
        level = f"[{_COLOURS[finding.level]}]{finding.level}[/]"
        table.add_row(level, finding.subject, finding.says, finding.todo)
    Console().print(table)
