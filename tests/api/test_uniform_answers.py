"""With ``uniform_answers`` nobody can tell from an answer, or from the time it takes, what is known of a
recipient; the reason stands in the audit trail and the callbacks."""

import json
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.app import Role
from service.clock import ManualClock
from tests.harness import World, world

START = "/v1/verifications"
HOOK = "https://shop.example/hooks"
WRONG = {"code": "0000"}
NUMBERS = {
    "honest": "+12025550123",
    "opted out": "+12035550124",
    "opted out at Telnyx": "+12055550105",
    "blocked country": "+33612345678",
    "country without route": "+4915123456789",
    "landline": "+442079460123",
    "VoIP by Number Lookup": "+12065550120",
    "unreachable": "+12075550106",
    "failing with each sender": "+12125550101",
    "recipient's limit": "+12085550128",
    "guess budget": "+12095550129",
    "prefix's limit": "+12105550130",
    "SMS pumping": "+447700900190",
    "country's spending cap": "+14165550131",
}
REASONS = {
    "opted out": "recipient_opted_out",
    "blocked country": "country_not_allowed",
    "country without route": "country_not_allowed",
    "landline": "number_type_not_allowed",
    "VoIP by Number Lookup": "number_type_not_allowed",
    "recipient's limit": "rate_limited",
    "guess budget": "rate_limited",
    "prefix's limit": "rate_limited",
    "SMS pumping": "suspected_fraud",
}
SETTINGS: dict[str, Any] = {
    "limits": {"recipient": ["2/600"], "client_ip": [], "prefix": ["9/600"], "app": ["900/600"]},
    "guard": {
        "wrong_codes": "3/86400",
        "countries": {"FR": "block"},
        "number_types": {"voip": "block"},
        "pumping": {"mode": "block", "floors": {"run": [5, 20]}},
    },
    "lookup": {"enabled": True},
    "money": {"countries": {"CA": {"hour": 0.15}}},
    "routes": [{"countries": ["US", "CA", "GB", "FR"], "plan": ["short", "long"]}],
}


@asynccontextmanager
async def _world(valkey: str, clock: ManualClock, **changes: Any) -> AsyncIterator[World]:
    settings = {"uniform_answers": True, **SETTINGS, **changes}
    async with world(valkey, role=Role.API, clock=clock, **settings) as running:
        # To Number Lookup it is a mobile: only Telnyx's refusal of the message says what it is.
        body = {"number": NUMBERS["unreachable"], "type": "mobile"}
        assert (await running.phone.post("/sandbox/lookups", json=body)).status_code == 200
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture
async def app(redis: Redis, valkey: str, clock: ManualClock) -> AsyncIterator[World]:
    async with _world(valkey, clock) as running:
        yield running


async def _start(app: World, to: str, purpose: str = "login", **headers: str) -> httpx.Response:
    body = {"to": to, "purpose": purpose, "callback_url": HOOK}
    return await app.api.post(START, json=body, headers=headers)


async def _bring_about(app: World) -> None:
    """Make each recipient what its name says."""
    await app.api.put(f"/v1/opt-outs/{NUMBERS['opted out']}")
    for _ in range(2):
        await _start(app, NUMBERS["recipient's limit"])
    await _start(app, NUMBERS["country's spending cap"][:-2] + "55")
    guessed = (await _start(app, NUMBERS["guess budget"])).json()["id"]
    for _ in range(3):
        await app.verify(guessed, "0000")
    prefix = NUMBERS["prefix's limit"][:-4]
    for n in range(9):
        await _start(app, f"{prefix}2{n}00")
    for n in range(6):
        await _start(app, NUMBERS["SMS pumping"][:-2] + f"0{n}")
    await app.service.tasks.drain(5)


async def _audit(redis: Redis, type_: str) -> list[dict[str, Any]]:
    found = []
    async for key in redis.scan_iter("*audit"):
        entries: Any = await redis.xrange(key)
        found += [json.loads(fields["event"]) for _, fields in entries]
    return [event for event in found if event["type"] == type_]


_ECHO = re.compile(r'"to":\s?"[^"]*"|"country":\s?"[A-Z]{2}"')


def _shown(answer: httpx.Response, id_: str) -> tuple[int, list[tuple[str, str]], str]:
    """Status, headers in order, body: all but the id and what repeats the request. The service's clock
    stands still, so its times must be the same too."""
    assert answer.headers.get("content-length") == str(len(answer.content))
    headers = [
        (name, re.sub(r"r=\d+", "r", value.replace(id_, "ID")))
        for name, value in answer.headers.multi_items()
        if name not in ("date", "content-length")
    ]
    return answer.status_code, headers, _ECHO.sub("ECHO", answer.text.replace(id_, "ID"))


class _Life:
    """The same calls on a verification of each recipient, side by side, and what they showed."""

    def __init__(self, app: World) -> None:
        self._app = app
        self.ids: dict[str, str] = {}
        self.answers: dict[str, list[httpx.Response]] = {name: [] for name in NUMBERS}

    async def start(self) -> None:
        for name, number in NUMBERS.items():
            answer = await _start(self._app, number)
            self.ids[name] = answer.json().get("id", answer.text)
            self.answers[name].append(answer)
        await self._app.service.tasks.drain(5)

    async def call(self, method: str, path: str = "", **body: Any) -> None:
        for name, id_ in self.ids.items():
            url = f"{START}/{id_}{path}"
            self.answers[name].append(await self._app.api.request(method, url, **body))
        await self._app.service.tasks.drain(5)

    def check(self, *statuses: int) -> None:
        """All showed the same, and it was not nothing."""
        shown = {
            name: [_shown(answer, self.ids[name]) for answer in answers]
            for name, answers in self.answers.items()
        }
        assert [status for status, _, _ in shown["honest"]] == list(statuses)
        for name, answers in shown.items():
            assert answers == shown["honest"], name
        lengths = {len(id_) for id_ in self.ids.values()}
        assert lengths == {38}


async def test_answers_are_the_same_byte_for_byte(
    app: World, redis: Redis, clock: ManualClock
) -> None:
    await _bring_about(app)
    sent = {name: len(await app.messages(number)) for name, number in NUMBERS.items()}
    life = _Life(app)
    await life.start()
    await life.call("GET")
    await life.call("POST", "/verify", json=WRONG)
    await life.call("POST", "/resend")
    clock.move(30_000)
    for _ in range(3):
        await life.call("POST", "/resend")
        clock.move(30_000)
    await life.call("POST", "/resend")
    await life.call("GET")
    await life.call("POST", "/cancel")
    for path, body in (("/cancel", {}), ("/resend", {}), ("/verify", {"json": WRONG})):
        await life.call("POST", path, **body)
    await life.call("GET")
    life.check(201, 200, 200, 429, 200, 200, 200, 429, 200, 200, 409, 409, 409, 200)

    left = [re.search(r'"app";r=(\d+)', a[0].headers["ratelimit"]) for a in life.answers.values()]
    counts = [int(found[1]) for found in left if found]
    assert counts == list(range(counts[0], counts[0] - len(NUMBERS), -1))
    arrived = {name: len(await app.messages(number)) for name, number in NUMBERS.items()}
    assert arrived["honest"] == sent["honest"] + 4
    assert {name: arrived[name] for name in REASONS} == {name: sent[name] for name in REASONS}

    events = await _audit(redis, "guard.blocked")
    blocked = {e["verification"]: e["reason"] for e in events if "reason" in e}
    for name, reason in REASONS.items():
        assert blocked[life.ids[name]] == reason, name
    ended = await _audit(redis, "verification.undeliverable")
    ours = set(life.ids.values())
    assert {(e["verification"], e["reason"]) for e in ended if e["verification"] in ours} >= {
        (life.ids["unreachable"], "recipient_unreachable"),
        (life.ids["opted out at Telnyx"], "recipient_opted_out"),
    }
    for name in (*REASONS, "unreachable"):
        (queue,) = [key async for key in redis.scan_iter(f"*out:q:{life.ids[name]}")]
        told = [json.loads(entry)["event"] for entry in await redis.lrange(queue, 0, -1)]
        kinds = [json.loads(event)["type"] for event in told]
        assert "guard.blocked" in kinds or "verification.undeliverable" in kinds, name


@pytest.mark.slow
async def test_they_lock_and_expire_alike(app: World, clock: ManualClock) -> None:
    await _bring_about(app)
    life = _Life(app)
    await life.start()
    for _ in range(6):
        await life.call("POST", "/verify", json=WRONG)
    await life.call("GET")
    life.check(201, *[200] * 5, 409, 200)
    clock.move(600_000)
    await _bring_about(app)
    later = _Life(app)
    await later.start()
    clock.move(300_000)
    await later.call("GET")
    for path, body in (("/cancel", {}), ("/resend", {}), ("/verify", {"json": WRONG})):
        await later.call("POST", path, **body)
    await app.service.worker.poll()
    await later.call("GET")
    later.check(201, 200, 409, 409, 409, 200)
    assert life.answers["honest"][-1].json()["status"] == "locked"
    assert later.answers["honest"][-1].json()["status"] == "expired"


async def test_a_replay_is_as_uniform_and_supersedes_alike(app: World) -> None:
    await _bring_about(app)
    shown: list[list[object]] = []
    for name in ("honest", "opted out", "landline", "recipient's limit"):
        key = f"key-{len(shown)}"
        first = await _start(app, NUMBERS[name], **{"idempotency-key": key})
        again = await _start(app, NUMBERS[name], **{"idempotency-key": key})
        assert first.json()["id"] == again.json()["id"]
        await _start(app, NUMBERS[name])
        older = await app.api.get(f"{START}/{first.json()['id']}")
        assert older.json()["status"] == "canceled"
        shown.append([_shown(a, first.json()["id"]) for a in (first, again, older)])
    assert shown == [shown[0]] * len(shown)


async def test_beyond_the_guess_budget_the_right_code_is_wrong(app: World) -> None:
    started = await app.start(NUMBERS["guess budget"])
    (code,) = await app.codes(NUMBERS["guess budget"])
    for _ in range(3):
        await app.verify(started["id"], "0000")
    refused = await app.verify(started["id"], code)
    assert (refused.status_code, refused.json()["approved"]) == (200, False)


async def test_an_honest_login_still_passes(app: World, clock: ManualClock) -> None:
    to = NUMBERS["honest"]
    started = await app.start(to)
    assert started["deliveries"] == []
    await app.codes(to)
    clock.move(30_000)
    assert (await app.api.post(f"{START}/{started['id']}/resend")).status_code == 200
    first, _ = await app.codes(to, 2)
    verdict = (await app.verify(started["id"], first)).json()
    assert (verdict["approved"], verdict["delivery"]) == (True, 1)


async def test_a_limit_of_the_caller_itself_says_so(
    redis: Redis, valkey: str, clock: ManualClock
) -> None:
    async with _world(valkey, clock, limits={"client_ip": ["2/600"]}) as app:
        await app.api.put(f"/v1/opt-outs/{NUMBERS['opted out']}")
        for name in ("honest", "opted out"):
            body = {"to": NUMBERS[name], "client_ip": f"192.0.2.{len(name)}"}
            answers = [await app.api.post(START, json=body) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [201, 201, 429]
            assert answers[-1].json()["limit"] == "client_ip"


def _larger(ours: list[float], theirs: list[float]) -> float:
    """How often a sample of ours is larger than one of theirs: half of the time if nothing tells them
    apart (the effect size of the Mann-Whitney test)."""
    pairs = [(a > b) + (a == b) / 2 for a in ours for b in theirs]
    return sum(pairs) / len(pairs)


async def _times(app: World, names: list[str], rounds: int) -> dict[str, list[float]]:
    """How long starts take, of all recipients in turn, each time in another order. Whoever is honest is
    somebody else each time."""
    await app.api.put(f"/v1/opt-outs/{NUMBERS['opted out']}")
    taken: dict[str, list[float]] = {name: [] for name in names}
    for n in range(rounds):
        for name in random.sample(names, len(names)):
            to = f"+1202555{2000 + n}" if name == "honest" else NUMBERS[name]
            begun = time.perf_counter()
            await _start(app, to, f"login_{n}")  # It supersedes nothing, whoever it is for.
            if n >= 5:  # The first load scripts, open connections and use up the limit.
                taken[name].append(time.perf_counter() - begun)
    await app.service.tasks.drain(10)
    return taken


_TIMED = {
    "limits": {"recipient": ["2/600"], "client_ip": [], "without_client_ip": [], "prefix": []},
    "guard": {"countries": {"FR": "block"}, "number_types": {"voip": "block"}},
}
_WITHHELD = ["opted out", "blocked country", "landline", "recipient's limit"]
_SENT_IN_VAIN = ["opted out at Telnyx", "unreachable", "VoIP by Number Lookup"]


@pytest.mark.slow
async def test_no_time_tells_them_apart(redis: Redis, valkey: str, clock: ManualClock) -> None:
    """tests/flow/test_round_trips.py holds what this rests on, every day."""
    names = [*_WITHHELD, *_SENT_IN_VAIN]
    async with _world(valkey, clock, **_TIMED) as app:
        taken = await _times(app, ["honest", *names], 205)
    found = {name: round(_larger(taken["honest"], taken[name]), 3) for name in names}
    # Of 200 samples each, chance alone strays by 1 / sqrt(6 * 200) = 0.03.
    assert all(0.35 < effect < 0.65 for effect in found.values()), found


@pytest.mark.slow
async def test_the_same_measure_tells_them_apart_where_answers_are_not_uniform(
    redis: Redis, valkey: str, clock: ManualClock
) -> None:
    async with _world(valkey, clock, uniform_answers=False, **_TIMED) as app:
        taken = await _times(app, ["honest", "opted out"], 65)
    assert _larger(taken["honest"], taken["opted out"]) > 0.75
