"""Opt-outs by scope, each with a service of its own."""

from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from service.store.api_keys import Scope
from tests.harness import World, client, eventually, make_api_key, world

PROFILE = "00000000-0000-4000-8000-000000000001"
OTHER_PROFILE = "00000000-0000-4000-8000-000000000002"


async def _write(app: World, number: str, text: str) -> None:
    answer = await app.phone.post("/sandbox/inbound", json={"from": number, "text": text})
    assert answer.status_code == 202


async def _is(app: World, number: str, status: int) -> None:
    async def so() -> bool:
        return (await app.api.get(f"/v1/opt-outs/{number}")).status_code == status

    await eventually(so)


async def _all_true(check: Callable[[], Awaitable[list[bool]]]) -> bool:
    return all(await check())


async def _equals(check: Callable[[], Awaitable[list[bool]]], wanted: list[bool]) -> bool:
    return await check() == wanted


async def test_a_worker_syncs_with_telnyx_by_itself(redis: Redis, valkey: str) -> None:
    number = "+12025550164"
    async with world(valkey, opt_outs={"sync_interval": 0.05}) as app:
        await app.phone.post("/sandbox/opt-outs", json={"numbers": [number]})
        await _is(app, number, 200)
        found = await app.api.get(f"/v1/opt-outs/{number}")
        assert found.json()["source"] == "telnyx"


async def test_by_app_each_has_its_own_and_a_person_s_is_for_all(redis: Redis, valkey: str) -> None:
    number = "+12025550162"
    async with world(valkey, opt_outs={"scope": "app"}) as app:
        plain = await make_api_key(valkey, "other", tuple(Scope))
        async with client(str(app.api.base_url), plain) as other:

            async def barred() -> list[bool]:
                body = {"to": number}
                answers = [await c.post("/v1/verifications", json=body) for c in (app.api, other)]
                return [answer.status_code == 403 for answer in answers]

            await app.api.put(f"/v1/opt-outs/{number}")
            assert await barred() == [True, False]
            assert (await other.get(f"/v1/opt-outs/{number}")).status_code == 404
            assert (await other.delete(f"/v1/opt-outs/{number}")).status_code == 404
            await _write(app, number, "STOP")
            await eventually(lambda: _all_true(barred))
            # An app cannot lift what the person said, nor the person's START what the app did.
            assert (await other.delete(f"/v1/opt-outs/{number}")).status_code == 404
            await _write(app, number, "START")
            await eventually(lambda: _equals(barred, [True, False]))
            assert (await app.api.delete(f"/v1/opt-outs/{number}")).status_code == 204
            assert await barred() == [False, False]


async def test_by_profile_a_stop_bars_each_plan_that_the_profile_is_in(
    redis: Redis, valkey: str
) -> None:
    number = "+12025550163"
    senders = {
        "short": {"kind": "short_code", "from": "12345", "messaging_profile_id": OTHER_PROFILE},
        "long": {"kind": "long_code", "from": "+18445550001", "messaging_profile_id": PROFILE},
    }
    async with world(valkey, senders=senders, opt_outs={"scope": "messaging_profile"}) as app:
        await _write(app, number, "STOP")
        await _is(app, number, 200)
        # Its plan begins with another profile's sender, and goes round nothing.
        refused = await app.api.post("/v1/verifications", json={"to": number})
        assert refused.status_code == 403
        v = await app.start(number, senders=["short"])
        assert v["status"] == "pending"
        assert (await app.api.delete(f"/v1/opt-outs/{number}")).status_code == 204
        await app.start(number)
