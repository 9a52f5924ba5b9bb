"""An opt-out stops what falls under its scope, and nothing else."""

import json

import pytest
from redis.asyncio import Redis

from service.domain.audit import EventType, of_opt_out
from service.domain.opt_out_scope import EVERYTHING, Rule, Scopes, of_plan
from service.domain.plan import Sender, SenderKind
from service.store.keys import RecipientKeys
from service.store.recipients import OptOut
from service.store.verifications import Claim, OptedOut
from tests.store.stores import NOW, RECIPIENT, SENDER, Stores, verification

BRAND = Sender(
    name="brand", kind=SenderKind.ALPHANUMERIC, from_="Acme", messaging_profile_id="AB-1"
)
MASKED = "+1********00"
KEYS = RecipientKeys(RECIPIENT)


def _entry(scope: str, source: str = "api") -> OptOut:
    return OptOut(MASKED, NOW, source, scope)


async def _lift(stores: Stores, *scopes: str) -> bool:
    event = of_opt_out(EventType.OPT_OUT_LIFTED, RECIPIENT, MASKED, NOW, actor="key", source="api")
    return await stores.recipients.opt_in(RECIPIENT, scopes, event)


@pytest.mark.parametrize("scope", ["*", "app:default", "profile:ab-1"])
async def test_a_scope_of_the_plan_bars_creating_and_the_next_send(
    stores: Stores, scope: str
) -> None:
    plan = (SENDER, BRAND)
    claim = await stores.created(plan=plan, purpose="first")
    stopped = await stores.recipients.opt_out(RECIPIENT, _entry(scope), actor="key")
    assert stopped == [claim.verification.id]
    assert await stores.begin(claim) == "opted_out"
    assert isinstance(await stores.create(verification(plan=plan, purpose="second")), OptedOut)


@pytest.mark.parametrize("scope", ["app:other", "profile:ab-2", "app:def", "profile:ab"])
async def test_another_scope_stops_nothing(stores: Stores, scope: str) -> None:
    claim = await stores.created(plan=(SENDER, BRAND))
    assert await stores.recipients.opt_out(RECIPIENT, _entry(scope), actor="key") == []
    assert await stores.begin(claim) == "ok"
    assert isinstance(await stores.create(verification(plan=(BRAND,), purpose="b")), Claim)


async def test_each_scope_is_recorded_listed_and_lifted_by_itself(stores: Stores) -> None:
    for scope in ("*", "app:a", "profile:p"):
        await stores.recipients.opt_out(RECIPIENT, _entry(scope), actor="key")
    page = await stores.recipients.list_opt_outs((0, 0), 10)
    assert sorted(entry.scope for entry in page.items) == ["*", "app:a", "profile:p"]
    assert await _lift(stores, "app:a")
    assert not await _lift(stores, "app:a")
    assert await stores.recipients.get_opt_out(RECIPIENT, ["app:a"]) is None
    assert await stores.recipients.get_opt_out(RECIPIENT, ["app:a", "profile:p"])
    assert await _lift(stores, "*", "app:a", "profile:p")
    assert (await stores.recipients.list_opt_outs((0, 0), 10)).items == []


async def test_what_was_recorded_before_there_were_scopes_is_read(
    stores: Stores, redis: Redis
) -> None:
    old = {"masked": MASKED, "since": NOW, "source": "inbound"}
    await redis.set(KEYS.opt_out, json.dumps(old))
    await redis.zadd(KEYS.opt_outs, {RECIPIENT: NOW})
    assert await stores.recipients.get_opt_out(RECIPIENT, ["*"]) == _entry("*", "inbound")
    assert isinstance(await stores.create(verification()), OptedOut)
    assert await _lift(stores, EVERYTHING)
    # And what is written today under the scope of everything has that very form.
    await stores.recipients.opt_out(RECIPIENT, _entry(EVERYTHING, "inbound"), actor="key")
    written = await redis.get(KEYS.opt_out)
    assert written is not None
    assert json.loads(written) == old


async def test_a_record_without_scopes_is_stopped_by_any(stores: Stores, redis: Redis) -> None:
    claim = await stores.created()
    id_ = claim.verification.id
    await redis.hdel(f"{KEYS.prefix}v:{id_}", "scopes")
    assert await stores.recipients.opt_out(RECIPIENT, _entry("app:x"), actor="key") == [id_]


async def test_the_word_of_a_person_outlives_a_row_of_telnyx(stores: Stores) -> None:
    await stores.recipients.opt_out(RECIPIENT, _entry("*", "telnyx"), actor="telnyx")
    later = OptOut(MASKED, NOW + 5, "inbound")
    assert await stores.recipients.opt_out(RECIPIENT, later, actor="recipient") is None
    found = await stores.recipients.get_opt_out(RECIPIENT, ["*"])
    assert found == _entry("*", "inbound")
    await stores.recipients.opt_out(RECIPIENT, _entry("*", "telnyx"), actor="telnyx")
    assert await stores.recipients.get_opt_out(RECIPIENT, ["*"]) == found


def test_where_opt_outs_are_recorded_and_lifted() -> None:
    assert of_plan("shop", (SENDER, BRAND, BRAND)) == ("app:shop", "profile:ab-1")
    everything, app, profile = (Scopes(rule, ("AB-1",)) for rule in Rule)
    assert {s.of_caller("shop") for s in (everything, profile)} == {"*"}
    assert app.of_caller("shop") == "app:shop"
    assert {s.of_number("AB-1") for s in (everything, app)} == {"*"}
    assert profile.of_number("AB-1") == "profile:ab-1"
    assert {profile.of_number(None), profile.of_number("no such:id")} == {"*"}
    assert app.lifted_by_caller("shop") == ("app:shop",)
    assert "app:shop" not in app.lifted_by_person("AB-1")
    assert profile.lifted_by_person("AB-2") == ("*", "profile:ab-2")
    assert everything.seen_by_caller("shop") == ("*", "app:shop", "profile:ab-1")
