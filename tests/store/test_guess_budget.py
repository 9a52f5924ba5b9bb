"""The guess budget: wrong codes of a recipient in an app, over everything that could reset a count."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from service.domain.audit import EventType, of_attempt, of_verification
from service.domain.guard import Exceeded, Limit
from service.domain.guess_budget import GuessBudget
from service.domain.verification import Verification
from service.store.keys import RecipientKeys, new_id
from service.store.scripts import Reply
from service.store.verifications import Attempt, Claim, VerificationStore
from tests.store.stores import DIGEST, NOW, PLAIN, RECIPIENT, SENDER, WRONG, Stores, verification

WINDOW = 86_400
BUDGET = GuessBudget(Limit(10, WINDOW), 5)
OWNER, STRANGER = ("0" * 32,), ("1" * 32,)


@dataclass
class Phone:
    """One recipient, its verifications under several purposes, and what was compared."""

    stores: Stores
    now: int = NOW
    store: VerificationStore = field(init=False)
    live: list[Verification] = field(default_factory=list)
    compared: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process: nothing is remembered but what the server has."""
        stores = self.stores
        self.store = VerificationStore(
            stores.connection,
            stores.scripts,
            {"long": SENDER},
            lease=12_000,
            retention=60_000,
            budget=BUDGET,
        )

    async def start(self, clients: tuple[str, ...] = (), purpose: str = "login") -> object:
        v = verification(
            id=new_id(RECIPIENT),
            clients=clients,
            purpose=purpose,
            created_at=self.now,
            expires_at=self.now + 600_000,
        )
        event = of_verification(EventType.VERIFICATION_CREATED, v, self.now, actor="key")
        made = await self.store.create(v, b"s" * 16, (), event=event)
        if isinstance(made, Claim):
            self.live.append(v)
            self.stores.verifications = self.store
            await self.stores.begin(made)
        return made

    async def count(self, v: Verification) -> Attempt | Exceeded | Reply:
        event = of_attempt(EventType.ATTEMPT_COUNTED, v.id, v.app, self.now, "key")
        return await self.store.count_attempt(
            v.id, v.app, self.now, self.now + 10_000, event=event, **PLAIN
        )

    async def settle(self, v: Verification, digest: bytes) -> str:
        event = of_verification(EventType.VERIFICATION_APPROVED, v, self.now, actor="key")
        return (await self.store.settle_attempt(v, self.now, digest, event))[0]

    async def guess(self, v: Verification, digest: bytes = WRONG) -> str:
        counted = await self.count(v)
        if isinstance(counted, Exceeded):
            return "over_budget"
        if not isinstance(counted, Attempt):
            return counted[0]
        word = await self.settle(counted.verification, digest)
        self.compared += word in ("rejected", "locked")
        return word

    async def approve(self, clients: tuple[str, ...]) -> None:
        assert isinstance(await self.start(clients), Claim)
        assert await self.guess(self.live[-1], DIGEST) == "approved"


async def _use_up(phone: Phone, clients: tuple[str, ...]) -> Exceeded:
    """Start and guess wrong until no start is allowed."""
    for _ in range(40):
        made = await phone.start(clients)
        if isinstance(made, Exceeded):
            return made
        while await phone.guess(phone.live[-1]) == "rejected":
            pass
    raise AssertionError("never refused")


async def test_no_new_verification_resets_the_count(stores: Stores) -> None:
    phone = Phone(stores)
    refused = await _use_up(phone, ())
    assert phone.compared == 10
    assert refused == Exceeded("wrong_codes", Limit(10, WINDOW), WINDOW * 1000)


async def test_it_is_free_again_exactly_when_it_says(stores: Stores) -> None:
    phone = Phone(stores)
    refused = await _use_up(phone, ())
    phone.now += refused.retry_after - 1
    assert isinstance(await phone.start(), Exceeded)
    phone.now += 1
    assert isinstance(await phone.start(), Claim)


async def test_100_parallel_guesses_over_several_verifications_stay_within_it(
    stores: Stores, redis: Redis
) -> None:
    phone = Phone(stores)
    for n in range(5):
        await phone.start(purpose=f"p{n}")
    guesses = [phone.guess(v) for v in phone.live for _ in range(20)]
    replies = await asyncio.gather(*guesses)
    assert phone.compared == 10
    assert replies.count("over_budget") >= 1
    audit: Any = await redis.xrange(RecipientKeys(RECIPIENT).audit)
    blocked = [entry for entry in audit if "wrong_codes" in entry[1]["event"]]
    assert 1 <= len(blocked) <= 5  # once for a verification, however long it goes on


async def test_a_success_clears_the_count_but_not_what_is_still_compared(stores: Stores) -> None:
    phone = Phone(stores)
    for purpose in ("a", "b", "c"):
        await phone.start(purpose=purpose)
    first, second, owner = phone.live
    for _ in range(4):
        await phone.guess(first)
    under_way = [await phone.count(second) for _ in range(5)]
    assert await phone.guess(owner, DIGEST) == "approved"
    # Four are cleared, five may yet be wrong: five are left.
    for purpose in ("d", "e"):
        await phone.start(purpose=purpose)
    results = [await phone.guess(v) for v in phone.live[3:] for _ in range(5)]
    assert results == ["rejected"] * 4 + ["locked"] + ["over_budget"] * 5
    for attempt in under_way:
        assert isinstance(attempt, Attempt)
        await phone.settle(attempt.verification, WRONG)
    assert isinstance(await phone.start(), Exceeded)


async def test_a_stranger_cannot_use_up_the_owners_share(stores: Stores) -> None:
    phone = Phone(stores)
    await phone.approve(OWNER)
    refused = await _use_up(phone, STRANGER)
    assert phone.compared == refused.window.count == 5
    assert isinstance(await phone.start(()), Exceeded)
    await phone.approve(OWNER)  # who is let in, which clears the count
    assert isinstance(await phone.start(STRANGER), Claim)


async def test_the_owners_share_is_within_the_budget(stores: Stores) -> None:
    phone = Phone(stores)
    await phone.approve(OWNER)
    await _use_up(phone, STRANGER)
    await _use_up(phone, OWNER)
    assert phone.compared == 10


async def test_known_clients_are_few_and_forgotten(stores: Stores, redis: Redis) -> None:
    phone = Phone(stores)
    for n in range(20):
        await phone.approve((f"{n:032x}",))
        phone.now += 1_000
    known = RecipientKeys(RECIPIENT).known("default")
    assert await redis.zcard(known) == 16
    assert 0 < await redis.ttl(known) <= 90 * 86_400
    phone.now += 90 * 86_400_000
    await phone.approve(OWNER)
    assert await redis.zrange(known, 0, -1) == list(OWNER)


async def test_each_app_has_its_own(stores: Stores) -> None:
    phone = Phone(stores)
    await _use_up(phone, ())
    other = await stores.create(verification(app="other", id=new_id(RECIPIENT)))
    assert isinstance(other, Claim)


_moves = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from([(), OWNER, STRANGER]), st.sampled_from("ab")),
        st.tuples(st.just("guess"), st.integers(0, 20)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("wait"), st.integers(0, WINDOW * 400)),
    ),
    max_size=60,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(moves=_moves, known=st.booleans())
async def test_whatever_an_attacker_does_it_is_never_exceeded(
    stores: Stores, redis: Redis, moves: list[tuple[object, ...]], known: bool
) -> None:
    await redis.flushall()
    phone = Phone(stores)
    if known:
        await phone.approve(OWNER)
    wrong_at: list[tuple[int, bool]] = []
    for move in moves:
        match move:
            case ("start", tuple() as clients, str() as purpose):
                await phone.start(clients, purpose)
            case ("guess", int() as n) if phone.live:
                v = phone.live[n % len(phone.live)]
                before = phone.compared
                await phone.guess(v)
                if phone.compared > before:
                    wrong_at.append((phone.now, v.clients == OWNER))
            case ("cancel", int() as n) if phone.live:
                v = phone.live[n % len(phone.live)]
                await phone.store.cancel(v, v.app, phone.now, {})
            case ("restart",):
                phone.restart()
            case ("wait", int() as milliseconds):
                phone.now += milliseconds
        within = [owner for at, owner in wrong_at if at > phone.now - WINDOW * 1000]
        assert len(within) <= 10
        if known:
            assert within.count(False) <= 5
