"""Keys rotate under live verifications, and nobody notices."""

import asyncio
import base64
import json
import time

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from nacl.signing import SigningKey
from redis.asyncio import Redis

from service.domain.keyring import Keyring, parse_keys
from service.store.census import Need, count_needs
from service.store.connection import Connection
from service.store.lookup import forget_key
from tests.flow.rotation import Fleet, fleet, master_key
from tests.harness import SEED, TELNYX_KEY, World

PHONE = "+12025550123"
_AT_ONCE = 8


async def test_every_right_code_passes_a_rotation(redis: Redis, valkey: str) -> None:
    await _logins_through_rotations(valkey, count=15, rotations=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_1000_right_codes_pass_three_rotations(redis: Redis, valkey: str) -> None:
    await _logins_through_rotations(valkey, count=1_000, rotations=3)


async def _logins_through_rotations(valkey: str, *, count: int, rotations: int) -> None:
    """As the procedure has it: the new key second everywhere, then first, one process at a time, with
    logins begun on both processes at every step; then every code, right and wrong, is typed."""
    ring = [master_key()]
    async with fleet(valkey) as running:
        async for _ in running.roll(ring):
            pass
        phones = [f"+1202555{number:04d}" for number in range(200, 200 + count)]
        steps = 1 + 4 * rotations
        waves = [phones[step::steps] for step in range(steps)]
        started = await _start(running, waves.pop())
        for _ in range(rotations):
            added = master_key()
            for step in ([ring[0], added, *ring[1:]], [added, *ring]):
                async for _ in running.roll(step):
                    started |= await _start(running, waves.pop())
            ring = [added, *ring]
        assert len(started) == count
        needs = await _needs(valkey)
        assert sum(need.records for need in needs.values()) == count
        assert needs.keys() == set(Keyring(parse_keys(",".join(ring))).ids)
        await _type_all(running, started)
        assert await _needs(valkey) == {}


async def _start(running: Fleet, phones: list[str]) -> dict[str, str]:
    """Start one login for each phone, on either process in turn; phone -> id."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def start(at: int, phone: str) -> tuple[str, str]:
        async with gate:
            world = running.processes[at % len(running.processes)]
            return phone, str((await world.start(phone))["id"])

    return dict(await asyncio.gather(*(start(at, phone) for at, phone in enumerate(phones))))


async def _type_all(running: Fleet, started: dict[str, str]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def type_both(at: int, phone: str, id_: str) -> None:
        async with gate:
            world = running.processes[at % len(running.processes)]
            (code,) = await world.codes(phone)
            wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
            assert (await world.verify(id_, wrong)).json()["approved"] is False
            assert (await world.verify(id_, code)).json()["approved"] is True

    items = enumerate(started.items())
    await asyncio.gather(*(type_both(at, phone, id_) for at, (phone, id_) in items))


async def _needs(valkey: str) -> dict[str, Need]:
    connection = await Connection.open(valkey)
    try:
        return await count_needs(connection, time.time_ns() // 1_000_000)
    finally:
        await connection.close()


async def test_look_ups_stay_right_when_the_first_key_is_retired(redis: Redis, valkey: str) -> None:
    first, second = master_key(), master_key()
    async with fleet(valkey, size=1) as running:
        await running.run(0, [first])
        before = await _leave_traces(running.processes[0])
        for ring in ([first, second], [second, first]):
            await running.run(0, ring)
        connection = await Connection.open(valkey)
        await forget_key(connection, Keyring(parse_keys(first)).newest)
        await connection.close()
        await running.run(0, [second])
        await _check_traces(running.processes[0], before)


async def _leave_traces(world: World) -> dict[str, str]:
    """An opt-out, an Idempotency-Key, a pending verification and a report in flight."""
    assert (await world.api.put("/v1/opt-outs/+12025550199")).status_code == 200
    headers = {"idempotency-key": "one-login"}
    idempotent = await world.api.post("/v1/verifications", json={"to": PHONE}, headers=headers)
    silent = await world.start("+12025550104")  # its report never comes by itself
    message = await world.phone.get(
        f"/v2/messages/{silent['deliveries'][0]['message_id']}",
        headers={"authorization": f"Bearer {TELNYX_KEY}"},
    )
    return {
        "idempotent": idempotent.json()["id"],
        "silent": silent["id"],
        "webhook": message.json()["data"]["webhook_url"],
        "message": message.json()["data"]["id"],
    }


async def _check_traces(world: World, before: dict[str, str]) -> None:
    opted_out = await world.api.post("/v1/verifications", json={"to": "+12025550199"})
    assert opted_out.json()["type"].endswith("recipient-opted-out")
    headers = {"idempotency-key": "one-login"}
    again = await world.api.post("/v1/verifications", json={"to": PHONE}, headers=headers)
    assert again.json()["id"] == before["idempotent"]
    assert again.headers["idempotent-replayed"] == "true"
    assert (await _report(world, before)).status_code == 200
    await world.until(before["silent"], lambda v: v["deliveries"][0]["status"] == "delivered")
    # The next login of the same recipient finds and cancels the one that was pending.
    await world.start(PHONE)
    assert (await world.get(before["idempotent"]))["status"] == "canceled"


async def _report(world: World, before: dict[str, str]) -> httpx.Response:
    """The report that was in flight, as Telnyx signs it."""
    payload = {"id": before["message"], "to": [{"status": "delivered"}]}
    data = {
        "id": "late",
        "event_type": "message.finalized",
        "occurred_at": "2027-01-15T08:00:00.000+00:00",
        "payload": payload,
    }
    body, at = json.dumps({"data": data}).encode(), int(time.time())
    signature = SigningKey(SEED).sign(f"{at}|".encode() + body).signature
    headers = {
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        "telnyx-timestamp": str(at),
    }
    return await world.phone.post(before["webhook"], content=body, headers=headers)


async def test_a_code_of_a_key_that_was_forced_out_is_not_judged(redis: Redis, valkey: str) -> None:
    first, second = master_key(), master_key()
    async with fleet(valkey, size=1) as running:
        await running.run(0, [first, second])
        started = await running.processes[0].start(PHONE)
        (code,) = await running.processes[0].codes(PHONE)
        await running.run(0, [second])
        answer = await running.processes[0].verify(started["id"], code)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        await running.run(0, [second, first])
        assert (await running.processes[0].verify(started["id"], code)).json()["approved"] is True


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_a_proof_outlives_a_rotation(redis: Redis, valkey: str) -> None:
    old, new = master_key(), master_key()
    async with fleet(valkey, size=1) as running:
        await running.run(0, [old, new])
        world = running.processes[0]
        started = await world.start(PHONE, nonce="0123456789abcdef")
        (code,) = await world.codes(PHONE)
        proof = (await world.verify(started["id"], code)).json()["proof"]
        # As long as the proof may be checked its key is not to be retired.
        assert (await _needs(valkey))[Keyring(parse_keys(old)).newest].records == 1
        await running.run(0, [new, old])
        jwks = (await running.processes[0].api.get("/.well-known/jwks.json")).json()
    assert [key["kid"] for key in jwks["keys"]] == list(Keyring(parse_keys(f"{new},{old}")).ids)
    assert not any("d" in key for key in jwks["keys"])
    token = jwt.decode(proof, KeySet.import_key_set(jwks), algorithms=["EdDSA"])
    assert token.claims["verification"] == started["id"]
