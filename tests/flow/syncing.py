"""A sync over a real store and the sandbox's list, and what tests do to the list meanwhile."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from litestar import Litestar

from service.clock import SystemClock
from service.domain.keyring import Keyring, parse_keys
from service.domain.opt_out_scope import Scopes
from service.flow.opt_out_sync import OptOutSync
from service.store import keys
from service.store.connection import Connection
from service.store.opt_out_sync import OptOutSyncStore
from service.store.people import PeopleStore
from service.store.recipients import OptOut, RecipientStore
from service.store.records import pairs
from service.store.scripts import Scripts
from service.telnyx.account import TelnyxAccount
from service.telnyx.http import TelnyxConfig
from service.telnyx.resources import OptOutItem, Page
from tests import applications
from tests.harness import KEYS, TELNYX_KEY, client, free_port, sandbox_config, serving

NOBODY = "http://127.0.0.1:9/webhooks/telnyx"
RING = Keyring(parse_keys(KEYS)).with_lookup(bytes(range(32)))
Hook = Callable[[int], Awaitable[None]]


class Watched(TelnyxAccount):
    """Telnyx's list over real HTTP; ``before`` is called with the number of each page asked for."""

    before: Hook | None = None

    async def list_opt_outs(self, **how: Any) -> Page[OptOutItem]:
        if self.before is not None:
            await self.before(how["page_number"])
        return await super().list_opt_outs(**how)


@dataclass(slots=True)
class Syncing:
    """Both lists, and the parts of a sync."""

    connection: Connection
    account: Watched
    phone: httpx.AsyncClient
    clock: SystemClock
    telnyx: Litestar

    def forget(self) -> None:
        """Telnyx's list is empty again."""
        listed = self.telnyx.state.network.opt_outs
        for one in list(listed.all()):
            listed.lift(one.messaging_profile_id, one.to)
        self.account.before = None
        self.account.__dict__.pop("list_opt_outs", None)

    def sync(self, page_size: int = 250, scopes: Scopes | None = None) -> OptOutSync:
        return OptOutSync(
            store=OptOutSyncStore(self.connection, Scripts(self.connection)),
            account=self.account,
            keyring=RING,
            scopes=scopes or Scopes(),
            clock=self.clock,
            page_size=page_size,
        )

    @property
    def recipients(self) -> RecipientStore:
        return RecipientStore(self.connection, Scripts(self.connection))

    async def fill(self, **how: Any) -> None:
        answer = await self.phone.post("/sandbox/opt-outs", json=how)
        assert answer.status_code == 200, answer.text
        # A run looks at what was there in the millisecond before it began.
        filled = self.clock.now()
        while self.clock.now() <= filled:
            pass

    async def person(self, number: str) -> str | None:
        """Under which pseudonym the number's events are."""
        people = PeopleStore(self.connection, Scripts(self.connection))
        return await people.pseudonym(RING.lookup_id(number))

    async def start(self, number: str) -> None:
        """The person takes their STOP back."""
        answer = await self.phone.post("/sandbox/inbound", json={"from": number, "text": "START"})
        assert answer.status_code == 202, answer.text

    async def ours(self) -> list[OptOut]:
        found, cursor = [], (0, 0)
        while True:
            page = await self.recipients.list_opt_outs(cursor, 1_000)
            found += page.items
            if page.next is None:
                return found
            cursor = page.next

    async def events(self, kind: str) -> list[dict[str, Any]]:
        found = []
        for partition in range(keys.PARTITIONS):
            audit = f"{keys.prefix(partition)}audit"
            for _, fields in await self.connection.command("XRANGE", audit, "-", "+"):
                event = json.loads(pairs(fields)["event"])
                found += [event] if event["type"] == kind else []
        return found


@asynccontextmanager
async def syncing(url: str) -> AsyncIterator[Syncing]:
    port = free_port()
    sandbox = f"http://127.0.0.1:{port}"
    clock = SystemClock()
    connection = await Connection.open(url)
    account = Watched(TelnyxConfig(base_url=f"{sandbox}/v2", api_key=TELNYX_KEY), clock)
    telnyx = applications.sandbox(sandbox_config(NOBODY))
    async with (
        serving(telnyx, port),
        client(sandbox) as phone,
    ):
        yield Syncing(connection, account, phone, clock, telnyx)
    await account.close()
    await connection.close()


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"+1202555{first + index:04}" for index in range(count)]
