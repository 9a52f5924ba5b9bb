"""Each transition, and what it refuses."""

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from service.domain.audit import EventType, of_attempt, of_outcome, of_verification
from service.domain.code import Alphabet
from service.domain.guard import Exceeded, Limit
from service.domain.transaction import Transaction
from service.domain.verification import Accepted, DeliveryStatus, Reason, Status
from service.store.keys import VerificationKeys
from service.store.recipients import OptOut
from service.store.setup import LAYOUT
from service.store.verifications import Attempt, Claim, Exists, OptedOut
from tests.store.stores import (
    DIGEST,
    LEASE,
    NOW,
    PLAIN,
    RECIPIENT,
    SALT,
    WRONG,
    Stores,
    verification,
)

ACCEPTED = Accepted(NOW + 9, "m")


async def _events(redis: Redis, id_: str) -> list[str]:
    entries: Any = await redis.xrange(VerificationKeys(id_).audit)
    found = [json.loads(fields["event"]) for _, fields in entries]
    return [event["type"] for event in found if event.get("verification") == id_]


async def _attempt(
    stores: Stores, id_: str, digest: bytes, app: str = "default", **changes: Any
) -> list[str]:
    event = of_attempt(EventType.ATTEMPT_COUNTED, id_, app, NOW, "key")
    counted = await stores.verifications.count_attempt(
        id_,
        app,
        NOW,
        NOW + 10_000,
        event=event,
        **PLAIN | changes,
    )
    if isinstance(counted, Exceeded):
        return [counted.limit]
    if not isinstance(counted, Attempt):
        return counted
    v = counted.verification
    approved = of_verification(EventType.VERIFICATION_APPROVED, v, NOW, actor="key")
    return await stores.verifications.settle_attempt(v, NOW, digest, approved)


async def test_a_created_verification_reads_back_as_it_was(stores: Stores) -> None:
    v = verification(metadata={"flow": "a"}, host="login.example.com", locale="en")
    await stores.create(v)
    read = await stores.read(v.id)
    assert read.metadata == {"flow": "a"}
    assert (read.host, read.locale, read.plan) == (v.host, v.locale, v.plan)
    assert (read.status, read.expires_at, read.rev) == (Status.PENDING, v.expires_at, 1)


async def test_the_same_id_is_created_once(stores: Stores) -> None:
    v = verification()
    assert isinstance(await stores.create(v), Claim)
    assert isinstance(await stores.create(v), Exists)


async def test_nothing_is_created_for_an_opted_out_recipient(stores: Stores) -> None:
    await stores.recipients.opt_out(RECIPIENT, OptOut("+1********00", NOW, "api"), actor="key")
    v = verification()
    assert isinstance(await stores.create(v), OptedOut)
    assert await stores.verifications.get(v.id) is None


async def test_a_limit_is_exact_and_says_when_it_is_free_again(stores: Stores) -> None:
    window = Limit(2, 600)
    for at in (NOW, NOW + 1_000):
        assert isinstance(await stores.create(verification(created_at=at), window), Claim)
    refused = await stores.create(verification(created_at=NOW + 2_000), window)
    assert refused == Exceeded("recipient", window, 598_000)
    later = verification(created_at=NOW + 600_000, expires_at=NOW + 900_000)
    assert isinstance(await stores.create(later, window), Claim)


async def test_parallel_starts_never_pass_a_limit_together(stores: Stores) -> None:
    made = await asyncio.gather(
        *(stores.create(verification(purpose=f"p{n}"), Limit(3, 600)) for n in range(20))
    )
    assert sum(isinstance(item, Claim) for item in made) == 3


@pytest.mark.parametrize("typed", [DIGEST, WRONG])
async def test_what_began_before_an_upgrades_end_goes_on_after_it(
    stores: Stores, redis: Redis, typed: bytes
) -> None:
    """The older release reads what is written before; its record has both forms then, and codes of both."""
    await redis.hset("cs:meta", "layout", LAYOUT - 1)
    claim = await stores.created()
    assert await stores.begin(claim) == "ok"
    v = await stores.read(claim.verification.id)
    await redis.hset("cs:meta", "layout", LAYOUT)
    assert await stores.verifications.record_outcome(claim.on(v), 1, ACCEPTED, None, {}) == "ok"
    await stores.created(purpose="other")  # who starts one looks how far the upgrade is
    claim = claim.on(await stores.read(v.id))
    assert await stores.begin(claim, WRONG) == "ok"
    claim = claim.on(await stores.read(v.id))
    assert await stores.verifications.record_outcome(claim, 2, ACCEPTED, None, {}) == "ok"
    record = await redis.hgetall(VerificationKeys(v.id).record)
    forms = {name: record[name][0] for name in ("base", "d1", "o1", "d2", "o2")}
    assert forms == {"base": "{", "d1": "{", "o1": "{", "d2": "[", "o2": "["}
    read = await stores.read(v.id)
    assert [d.begun_at for d in read.deliveries] == [NOW, NOW]
    assert [d.outcome for d in read.deliveries] == [ACCEPTED, ACCEPTED]
    number = "1" if typed is DIGEST else "2"
    assert await _attempt(stores, v.id, typed) == ["approved", number, "4"]


async def test_a_second_start_cancels_the_first_and_its_codes_die(
    stores: Stores,
    redis: Redis,
) -> None:
    first = await stores.sent()
    second = await stores.created()
    old = await stores.read(first.verification.id)
    assert (old.status, old.closed_reason) == (Status.CANCELED, Reason.SUPERSEDED)
    assert not await redis.exists(VerificationKeys(old.id).codes)
    assert (await stores.read(second.verification.id)).status is Status.PENDING
    assert (await _events(redis, old.id))[-1] == "verification.canceled"


async def test_another_purpose_leaves_the_first_alone(stores: Stores) -> None:
    first = await stores.created()
    await stores.created(purpose="payment")
    assert (await stores.read(first.verification.id)).status is Status.PENDING


async def test_one_claim_at_a_time_until_its_lease_ends(stores: Stores) -> None:
    claim = await stores.created()
    id_ = claim.verification.id
    assert await stores.verifications.claim(id_, NOW + 1) is None
    again = await stores.verifications.claim(id_, NOW + LEASE)
    assert again is not None
    assert again.salt == SALT


async def test_who_lost_its_lease_can_change_nothing(stores: Stores) -> None:
    stale = await stores.created()
    holder = await stores.verifications.claim(stale.verification.id, NOW + LEASE)
    assert holder is not None
    assert await stores.begin(stale) == "lost"
    assert await stores.close(stale) == "lost"
    assert await stores.verifications.wait(stale, NOW) == "lost"
    assert await stores.begin(holder) == "ok"


async def test_a_new_fact_stops_a_decision_made_without_it(stores: Stores) -> None:
    claim = await stores.sent()
    id_ = claim.verification.id
    held = await stores.verifications.claim(id_, NOW)
    assert held is not None
    assert await stores.report(id_) == "leased"
    assert await stores.begin(held) == "changed"
    assert await stores.close(held) == "changed"
    assert await stores.verifications.wait(held, NOW) == "changed"


async def test_an_opt_out_stops_a_delivery_that_was_already_decided(stores: Stores) -> None:
    claim = await stores.created()
    stopped = await stores.recipients.opt_out(
        RECIPIENT, OptOut("+1********00", NOW, "api"), actor="key"
    )
    assert stopped == [claim.verification.id]
    assert await stores.begin(claim) == "opted_out"
    assert (await stores.read(claim.verification.id)).opted_out


async def test_a_delivery_number_is_begun_once(stores: Stores) -> None:
    claim = await stores.created()
    assert await stores.begin(claim) == "ok"
    assert await stores.begin(claim) == "changed"


async def test_a_report_is_applied_once(stores: Stores) -> None:
    id_ = (await stores.sent()).verification.id
    assert await stores.report(id_) == "due"
    rev = (await stores.read(id_)).rev
    assert await stores.report(id_) == "repeated"
    assert (await stores.read(id_)).rev == rev
    assert await stores.report(id_, number=7) == "unknown"


async def test_a_report_that_beats_the_answer_is_kept(stores: Stores) -> None:
    claim = await stores.created()
    await stores.begin(claim)
    assert await stores.report(claim.verification.id) == "leased"
    v = await stores.read(claim.verification.id)
    assert v.deliveries[0].status is DeliveryStatus.DELIVERED
    word = await stores.verifications.record_outcome(
        claim.on(v), 1, Accepted(NOW, "m"), NOW + 1, {}
    )
    assert word == "ok"


async def test_a_flood_of_reports_is_bounded(stores: Stores) -> None:
    id_ = (await stores.sent()).verification.id
    for number in range(30):
        await stores.report(id_, f"event-{number}")
    assert len((await stores.read(id_)).deliveries[0].reports) == 16


async def test_a_right_code_approves_once_and_names_its_delivery(
    stores: Stores,
    redis: Redis,
) -> None:
    id_ = (await stores.sent()).verification.id
    replies = await asyncio.gather(*(_attempt(stores, id_, DIGEST) for _ in range(5)))
    assert sorted(reply[0] for reply in replies) == ["approved"] + ["closed"] * 4
    v = await stores.read(id_)
    assert v.status is Status.APPROVED
    assert v.deliveries[0].proven
    assert (await _events(redis, id_)).count("verification.approved") == 1
    assert not await redis.exists(VerificationKeys(id_).codes)


async def test_never_more_guesses_than_attempts(
    stores: Stores,
    redis: Redis,
) -> None:
    id_ = (await stores.sent()).verification.id
    replies = await asyncio.gather(*(_attempt(stores, id_, WRONG) for _ in range(40)))
    words = [reply[0] for reply in replies]
    assert words.count("rejected") == 4
    assert words.count("locked") == 1
    assert (await stores.read(id_)).status is Status.LOCKED
    assert (await _events(redis, id_)).count("attempt.counted") == 5


async def test_the_last_attempt_may_be_the_right_one(stores: Stores) -> None:
    id_ = (await stores.sent()).verification.id
    for _ in range(4):
        assert (await _attempt(stores, id_, WRONG))[0] == "rejected"
    assert (await _attempt(stores, id_, DIGEST))[0] == "approved"


async def test_another_app_sees_nothing(stores: Stores) -> None:
    id_ = (await stores.sent()).verification.id
    assert await _attempt(stores, id_, DIGEST, app="other") == ["unknown"]
    assert (await stores.read(id_)).attempts_used == 0


async def test_what_is_due_is_found_in_every_partition(stores: Stores) -> None:
    made = {}
    for number in range(8):
        recipient = f"{number:08x}" + "0" * 24
        claim = await stores.created(recipient_id=recipient, id=f"ver_{number:02d}{'0' * 32}")
        made[claim.verification.id] = NOW + LEASE
    assert await stores.verifications.due(NOW) == []
    assert dict(await stores.verifications.due(NOW + LEASE)) == made


async def test_a_closed_verification_is_due_no_more(stores: Stores) -> None:
    claim = await stores.created()
    assert await stores.close(claim) == "ok"
    assert await stores.verifications.due(NOW + 10 * LEASE) == []
    assert await stores.verifications.claim(claim.verification.id, NOW + LEASE) is None


async def test_the_outcome_of_a_post_under_way_is_kept_though_all_has_ended(
    stores: Stores, redis: Redis
) -> None:
    claim = await stores.created()
    id_ = claim.verification.id
    assert await stores.begin(claim) == "ok"
    assert (await _attempt(stores, id_, DIGEST))[0] == "approved"
    begun = await stores.read(id_)
    outcome = Accepted(NOW, "m")
    event = of_outcome(begun, begun.deliveries[0], outcome)
    for _ in range(2):
        word = await stores.verifications.record_outcome(claim, 1, outcome, None, event)
        assert word == "lost"
    read = await stores.read(id_)
    assert (read.status, read.deliveries[0].message_id) == (Status.APPROVED, "m")
    assert (await _events(redis, id_)).count("delivery.accepted") == 1
    assert await stores.verifications.withhold(claim, Reason.SPEND_LIMIT, event) == "lost"
    assert (await stores.read(id_)).withheld is None


async def test_a_record_that_was_bound_to_nothing_is_verified_as_it_was(stores: Stores) -> None:
    """It has a transaction, but was made before codes were bound to one."""
    v = verification(transaction=Transaction("Shop", "12.50", "EUR"))
    claim = await stores.create(v)
    assert isinstance(claim, Claim)
    await stores.begin(claim)
    assert (await stores.read(v.id)).bound is None
    assert (await _attempt(stores, v.id, DIGEST))[0] == "approved"


async def test_what_is_not_for_a_verification_is_not_counted(stores: Stores, redis: Redis) -> None:
    paid = Transaction("Shop", "12.50", "EUR")
    v = verification(transaction=paid, bound=paid.fingerprint, alphabet=Alphabet.MIXED)
    claim = await stores.create(v)
    assert isinstance(claim, Claim)
    await stores.begin(claim)
    assert (await stores.read(v.id)).alphabet is Alphabet.MIXED
    assert await _attempt(stores, v.id, DIGEST) == ["unreadable", "mixed"]
    mixed: dict[str, Any] = {"alphabets": [Alphabet.LETTERS, Alphabet.MIXED]}
    for bound in (None, "", Transaction("Shop", "12.51", "EUR").fingerprint):
        assert await _attempt(stores, v.id, DIGEST, **mixed, bound=bound) == ["mismatch"]
    assert (await stores.read(v.id)).attempts_used == 0
    assert (await _events(redis, v.id)).count("attempt.counted") == 0
    answer = await _attempt(stores, v.id, DIGEST, **mixed, bound=paid.fingerprint)
    assert answer[0] == "approved"
