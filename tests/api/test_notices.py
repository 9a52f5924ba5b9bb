"""Security notices: the way of a start, without a code, now or at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.harness import World, eventually, make_api_key

_NUMBERS = iter(range(120, 200))
TEXT = "Countersign: the phone number of your account was changed. Not you? Contact us at once."
Body = dict[str, Any]


@pytest.fixture
def to() -> str:
    """A phone of its own: the sandbox, which the tests share, remembers each message."""
    return f"+1202555{next(_NUMBERS):04d}"


async def send(app: World, to: str, **body: Any) -> Body:
    answer = await app.api.post("/v1/notices", json={"to": to, "event": "number_changed", **body})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/notices/{answer.json()['id']}"
    return dict(answer.json())


async def read(app: World, id_: str) -> Body:
    return dict((await app.api.get(f"/v1/notices/{id_}")).json())


async def until(app: World, id_: str, status: str) -> Body:
    async def found() -> Body:
        notice = await read(app, id_)
        return notice if notice["status"] == status else {}

    return await eventually(found)


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


async def test_it_arrives_and_says_so(app: World, to: str) -> None:
    sent = await send(app, to, metadata={"ticket": "T1"})
    assert sent["to"].startswith("+1")
    assert to not in str(sent)
    assert sent["send_at"] is None
    notice = await until(app, sent["id"], "delivered")
    assert [(d["sender"], d["reason"]) for d in notice["deliveries"]] == [("short", "initial")]
    assert notice["event"] == "number_changed"
    assert notice["metadata"] == {"ticket": "T1"}
    assert [m["text"] for m in await app.messages(to)] == [TEXT]


async def test_it_falls_back_like_a_code(app: World) -> None:
    sent = await send(app, "+12025550100")
    notice = await until(app, sent["id"], "delivered")
    assert [d["reason"] for d in notice["deliveries"]] == ["initial", "delivery_failed"]


async def test_a_later_notice_takes_the_place_of_nothing(app: World, to: str) -> None:
    login = await app.start(to)
    ids = [(await send(app, to))["id"] for _ in range(2)]
    for id_ in ids:
        await until(app, id_, "delivered")
    assert (await app.get(login["id"]))["status"] == "pending"


async def test_nobody_who_opted_out_gets_one(app: World, to: str) -> None:
    await app.api.put(f"/v1/opt-outs/{to}")
    answer = await app.api.post("/v1/notices", json={"to": to, "event": "number_changed"})
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("recipient-opted-out")


async def test_the_same_idempotency_key_sends_one(app: World, to: str) -> None:
    headers, body = {"idempotency-key": "n-1"}, {"to": to, "event": "new_sign_in"}
    first, second = [
        await app.api.post("/v1/notices", json=body, headers=headers) for _ in range(2)
    ]
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"
    await until(app, first.json()["id"], "delivered")
    assert len(await app.messages(to)) == 1


async def test_the_limits_of_a_recipient_hold_for_it(app: World, to: str) -> None:
    for _ in range(5):
        await send(app, to)
    answer = await app.api.post("/v1/notices", json={"to": to, "event": "number_changed"})
    assert answer.status_code == 429
    assert answer.json()["limit"] == "recipient"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"event": "unknown"}, "/event"),
        ({"event": "number_changed", "text": "123456"}, ""),
        ({"event": "number_changed", "send_at": "2020-01-01T00:00:00Z"}, "/send_at"),
        ({"event": "number_changed", "send_at": "2030-01-01T00:00:00"}, "/send_at"),
        ({"event": "number_changed", "senders": ["nobody"]}, "/senders"),
        ({"event": "number_changed", "metadata": {"a": "+12025550123"}}, ""),
    ],
)
async def test_a_fault_is_named(app: World, body: Body, pointer: str) -> None:
    answer = await app.api.post("/v1/notices", json={"to": "+12025550123", **body})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_notice_and_a_verification_are_not_mistaken_for_each_other(
    app: World, to: str
) -> None:
    notice, login = await send(app, to), await app.start("+12025550199")
    for path in (f"/v1/verifications/{notice['id']}", f"/v1/notices/{login['id']}"):
        assert (await app.api.get(path)).status_code == 404
    assert (await app.verify(notice["id"], "123456")).status_code == 404
    for act in ("resend", "cancel"):
        assert (await app.api.post(f"/v1/verifications/{notice['id']}/{act}")).status_code == 404


async def test_another_app_sees_none_of_it(app: World, to: str) -> None:
    notice = await send(app, to, send_at=in_minutes(2))
    other = await make_api_key(app.settings.redis_url.get_secret_value(), "other")
    headers = {"authorization": f"Bearer {other}"}
    path = f"/v1/notices/{notice['id']}"
    assert (await app.api.get(path, headers=headers)).status_code == 404
    assert (await app.api.post(f"{path}/cancel", headers=headers)).status_code == 404


async def test_one_for_soon_waits_here_and_can_be_taken_back(app: World, to: str) -> None:
    notice = await send(app, to, send_at=in_minutes(2))
    assert (notice["status"], notice["deliveries"]) == ("scheduled", [])
    canceled = await app.api.post(f"/v1/notices/{notice['id']}/cancel")
    assert canceled.json()["status"] == "canceled"
    again = await app.api.post(f"/v1/notices/{notice['id']}/cancel")
    assert again.status_code == 409
    assert again.json()["type"].endswith("notice-closed")
    assert again.json()["status"] == "canceled"


async def test_what_was_sent_cannot_be_taken_back(app: World, to: str) -> None:
    notice = await send(app, to)
    answer = await app.api.post(f"/v1/notices/{notice['id']}/cancel")
    assert answer.status_code == 409


async def test_one_for_later_is_held_by_telnyx(app: World, to: str) -> None:
    notice = await send(app, to, send_at=in_minutes(60))
    assert notice["status"] == "scheduled"
    (delivery,) = notice["deliveries"]
    (held,) = await app.messages(to)
    assert (held["id"], held["status"]) == (delivery["message_id"], "scheduled")
    canceled = await app.api.post(f"/v1/notices/{notice['id']}/cancel")
    assert canceled.json()["status"] == "canceled", canceled.text
    (held,) = await app.messages(to)
    assert held["status"] == "cancelled"


async def test_a_stop_takes_back_what_telnyx_holds(app: World, to: str) -> None:
    await send(app, to, send_at=in_minutes(60))
    await app.api.put(f"/v1/opt-outs/{to}")

    async def taken_back() -> bool:
        return [m["status"] for m in await app.messages(to)] == ["cancelled"]

    await eventually(taken_back)
