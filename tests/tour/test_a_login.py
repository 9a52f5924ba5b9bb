"""What Countersign does, in the order in which a newcomer meets it. Read these first."""

from tests.harness import World, eventually

PHONE = "+12025550123"


async def test_a_login(app: World) -> None:
    """Two calls: start, and verify with what the phone shows."""
    started = await app.start(PHONE)
    assert started["status"] == "pending"
    assert started["to"] == "+1********23"

    (code,) = await app.codes(PHONE)
    answer = await app.verify(started["id"], code)

    assert answer.json() == {
        "id": started["id"],
        "approved": True,
        "status": "approved",
        "attempts_remaining": 4,
        "delivery": 1,
    }


async def test_a_wrong_code_is_an_answer_not_an_error(app: World) -> None:
    started = await app.start(PHONE)
    (code,) = await app.codes(PHONE)
    wrong = "000000" if code != "000000" else "000001"

    answer = await app.verify(started["id"], wrong)

    assert answer.status_code == 200
    assert answer.json()["approved"] is False
    assert answer.json()["attempts_remaining"] == 4


async def test_a_failed_message_falls_back_by_itself(app: World) -> None:
    """Nobody calls anything: the report says failed, the next sender is tried, and why is told."""
    phone = "+12025550100"
    started = await app.start(phone)

    await app.codes(phone)
    v = await app.until(started["id"], lambda v: v["deliveries"][-1]["status"] == "delivered")

    first, second = v["deliveries"]
    assert (first["sender"], first["status"]) == ("short", "delivery_failed")
    assert (second["sender"], second["reason"]) == ("long", "delivery_failed")


async def test_every_code_that_was_sent_is_right(app: World) -> None:
    """A message that is reported failed, but arrives, still logs the person in."""
    phone = "+12025550111"
    started = await app.start(phone)
    first, *_ = await app.codes(phone, 2)

    answer = await app.verify(started["id"], first)

    assert (answer.json()["approved"], answer.json()["delivery"]) == (True, 1)
    assert (await app.get(started["id"]))["deliveries"][0]["proven"] is True


async def test_a_stop_ends_all_messages(app: World) -> None:
    started = await app.start(PHONE)
    await app.phone.post("/sandbox/inbound", json={"from": PHONE, "text": "Stop!"})

    async def refused() -> bool:
        return (await app.api.get(f"/v1/opt-outs/{PHONE}")).status_code == 200

    await eventually(refused)
    answer = await app.api.post("/v1/verifications", json={"to": PHONE})

    assert answer.status_code == 403
    assert answer.json()["type"].endswith("recipient-opted-out")
    resent = await app.api.post(f"/v1/verifications/{started['id']}/resend")
    assert resent.json()["type"].endswith("recipient-opted-out")


async def test_a_retry_never_sends_a_second_message(app: World) -> None:
    key = {"idempotency-key": '"login-1"'}
    first = await app.api.post("/v1/verifications", json={"to": PHONE}, headers=key)
    again = await app.api.post("/v1/verifications", json={"to": PHONE}, headers=key)

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await app.messages(PHONE)) == 1


async def test_a_canceled_verification_approves_nothing(app: World) -> None:
    started = await app.start(PHONE)
    (code,) = await app.codes(PHONE)

    canceled = await app.api.post(f"/v1/verifications/{started['id']}/cancel")
    answer = await app.verify(started["id"], code)

    assert canceled.json()["status"] == "canceled"
    assert answer.status_code == 409
    assert answer.json()["status"] == "canceled"
