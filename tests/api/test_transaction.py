"""A code approves the payee and the amount in its message, and nothing else (PSD2 RTS article 5)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness import World, world

PAYMENT = {"payee": "Café Müller", "amount": "12.50", "currency": "EUR"}
OTHERS: dict[str, dict[str, str] | None] = {
    "none": None,
    "another payee": PAYMENT | {"payee": "Café Muller"},
    "the payee in another Unicode form": PAYMENT | {"payee": "Cafe\u0301 Mu\u0308ller"},
    "the payee in capitals": PAYMENT | {"payee": "CAFÉ MÜLLER"},
    "more": PAYMENT | {"amount": "12.51"},
    "the same amount, written otherwise": PAYMENT | {"amount": "12.5"},
    "another currency": PAYMENT | {"currency": "USD"},
}

_numbers: Iterator[str] = (f"+1202555{number:04d}" for number in range(1200, 1300))


async def _verify(app: World, id_: str, code: str, transaction: object) -> httpx.Response:
    body = {"code": code} | ({"transaction": transaction} if transaction is not None else {})
    return await app.api.post(f"/v1/verifications/{id_}/verify", json=body)


async def _started(app: World, **body: Any) -> tuple[str, str]:
    number = next(_numbers)
    started = await app.start(number, **body)
    return started["id"], (await app.codes(number))[-1]


def _problem(answer: httpx.Response) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["type"].removeprefix("/problems/"))


async def test_the_code_approves_what_its_message_says(app: World) -> None:
    number = next(_numbers)
    started = await app.start(number, transaction=PAYMENT, locale="de")
    (message,) = await app.messages(number)
    assert "zur Zahlung von 12.50 EUR an Café Müller" in message["text"]
    code = (await app.codes(number))[-1]
    answer = await _verify(app, started["id"], code, PAYMENT)
    assert answer.json()["approved"] is True


async def test_anything_else_is_refused_and_costs_no_attempt(app: World) -> None:
    id_, code = await _started(app, transaction=PAYMENT)
    said = set()
    for other in OTHERS.values():
        answer = await _verify(app, id_, code, other)
        assert _problem(answer) == "transaction-mismatch"
        said.add(answer.text)
    assert len(said) == 1, "nothing tells which element was wrong"
    assert (await app.get(id_))["attempts_remaining"] == 5
    assert (await _verify(app, id_, code, PAYMENT)).json()["approved"] is True
    assert (await _verify(app, id_, code, None)).status_code == 409


async def test_a_wrong_code_for_the_right_payment_is_a_guess(app: World) -> None:
    id_, code = await _started(app, transaction=PAYMENT)
    wrong = "000000" if code != "000000" else "000001"
    answer = await _verify(app, id_, wrong, PAYMENT)
    assert (answer.json()["approved"], answer.json()["attempts_remaining"]) == (False, 4)


async def test_a_code_for_no_payment_approves_none(app: World) -> None:
    id_, code = await _started(app)
    assert _problem(await _verify(app, id_, code, PAYMENT)) == "transaction-mismatch"
    assert (await _verify(app, id_, code, None)).json()["approved"] is True


async def test_a_resent_code_is_bound_too(valkey: str) -> None:
    async with world(valkey, codes={"resend_after": 0}) as soon:
        number = next(_numbers)
        started = await soon.start(number, transaction=PAYMENT)
        await soon.api.post(f"/v1/verifications/{started['id']}/resend")
        for code in await soon.codes(number, 2):
            refused = await _verify(soon, started["id"], code, None)
            assert _problem(refused) == "transaction-mismatch"
        assert (await _verify(soon, started["id"], code, PAYMENT)).json()["approved"] is True


async def test_a_mismatch_stands_in_the_audit_trail_once(app: World) -> None:
    id_, code = await _started(app, transaction=PAYMENT)
    for _ in range(3):
        await _verify(app, id_, code, None)
    found = await app.api.get("/v1/audit/events", params={"verification": id_})
    events = [e for e in found.json()["events"] if e["type"] == "attempt.refused"]
    assert len(events) == 1
    assert "Café" not in found.text
    types = {e["type"] for e in found.json()["events"]}
    assert not types & {"attempt.counted", "attempt.rejected"}


async def test_a_withheld_verification_refuses_alike(valkey: str) -> None:
    """With uniform answers a mismatch says nothing of the recipient."""
    guard = {"countries": {"FR": "block"}}
    async with world(valkey, uniform_answers=True, guard=guard) as uniform:
        answers = []
        for number in (next(_numbers), "+33612345678"):
            started = await uniform.start(number, transaction=PAYMENT)
            answers.append(await _verify(uniform, started["id"], "123456", OTHERS["more"]))
        assert [_problem(answer) for answer in answers] == ["transaction-mismatch"] * 2
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    "payee", ["", " Shop", "a" * 41, "Shop\n@evil.example #1", "Shop \u202egpj", "{code}", 12]
)
async def test_a_payee_that_cannot_be_shown_is_an_invalid_request(
    app: World, payee: object
) -> None:
    body = {"to": next(_numbers), "transaction": PAYMENT | {"payee": payee}}
    answer = await app.api.post("/v1/verifications", json=body)
    assert _problem(answer) == "invalid-request"
    assert answer.json()["errors"][0]["pointer"] == "/transaction/payee"


async def test_a_payment_that_no_segment_holds_is_refused_at_the_start(app: World) -> None:
    body = {
        "to": next(_numbers),
        "transaction": PAYMENT | {"payee": "Кофейня на углу Невского и Садовой"},
        "web_origin": "https://login.example.com",
        "app_hash": "FA+9qCX9VSu",
    }
    answer = await app.api.post("/v1/verifications", json=body)
    assert _problem(answer) == "invalid-request"
    assert answer.json()["errors"][0]["pointer"] == "/transaction"
