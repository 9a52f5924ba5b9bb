"""The guess budget over HTTP: nothing is compared beyond it, and the owner still gets in."""

from tests.harness import World

PHONE = "+12025550123"
STRANGER = "198.51.100.1"


async def _guess_wrong(app: World, id_: str, code: str) -> list[int]:
    wrong = [f"{n:06d}" for n in range(6) if f"{n:06d}" != code][:5]
    return [(await app.verify(id_, guess)).status_code for guess in wrong]


async def test_a_right_code_beyond_it_is_not_compared_and_costs_no_attempt(app: World) -> None:
    ids = [(await app.start(PHONE, purpose=purpose))["id"] for purpose in "abc"]
    codes = await app.codes(PHONE, 3)
    for id_, code in zip(ids[:2], codes, strict=False):
        assert await _guess_wrong(app, id_, code) == [200] * 5
    refused = await app.verify(ids[2], codes[2])
    assert (refused.status_code, refused.json()["limit"]) == (429, "wrong_codes")
    assert 86_000 < int(refused.headers["retry-after"]) <= 86_400
    v = await app.get(ids[2])
    assert (v["status"], v["attempts_remaining"]) == ("pending", 5)


async def test_a_known_device_gets_in_while_a_stranger_guesses(app: World) -> None:
    owner = {"limit_keys": {"device": "d"}}
    started = await app.start(PHONE, **owner)
    (code,) = await app.codes(PHONE)
    assert (await app.verify(started["id"], code)).json()["approved"]

    attacked = await app.start(PHONE, client_ip=STRANGER)
    codes = await app.codes(PHONE, 2)
    assert await _guess_wrong(app, attacked["id"], codes[-1]) == [200] * 5
    body = {"to": PHONE, "client_ip": STRANGER}
    refused = await app.api.post("/v1/verifications", json=body)
    assert (refused.status_code, refused.json()["limit"]) == (429, "wrong_codes")

    again = await app.start(PHONE, client_ip="203.0.113.9", **owner)
    codes = await app.codes(PHONE, 3)
    assert (await app.verify(again["id"], codes[-1])).json()["approved"]
