"""One app against another: every operation of the API, tried with the other's ids, shows nothing of it and
changes nothing."""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.app import Role
from service.store import keys
from service.store.api_keys import Scope
from tests.harness import World, client, make_api_key, world

DOCUMENT = Path(__file__).parents[2] / "openapi" / "openapi.json"
VICTIM, RIVAL = "aurora", "borealis"
# The sandbox sends no webhook for these: nothing changes by itself.
LIVE, CLOSED, NOTICED = "+12025550104", "+12125550104", "+13125550104"
STOPPED = "+12025550139"
IDEMPOTENT = {"idempotency-key": "the-same"}
EVERY_BUT_ADMIN = tuple(scope for scope in Scope if scope is not Scope.ADMIN)
# Of all apps together: what is due, whose callbacks wait, opt-outs by time; a person's open verifications,
# limits, tallies, the tie to a pseudonym.
SHARED = ("due", "out", "out:since", "oo")
SHARED_KINDS = ("a:", "l:", "t:", "s:")


@dataclass(frozen=True, slots=True)
class Theirs:
    """What the victim has. ``words`` must stand in no answer to anybody else."""

    live: str
    closed: str
    notice: str
    code: str
    key_id: str
    pseudonym: str
    events: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return (VICTIM, self.live, self.closed, self.notice, self.code, self.key_id, *self.events)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request of the rival's. ``denied``: it must be refused, and leave no trace at all."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    denied: bool = True


@pytest.fixture(params=[False, True], ids=["told", "uniform"])
async def app(request: pytest.FixtureRequest, redis: Redis, valkey: str) -> AsyncIterator[World]:
    # Without a worker, for the same reason.
    async with world(
        valkey,
        role=Role.API,
        uniform_answers=request.param,
        opt_outs={"scope": "app"},
        codes={"resend_after": 0},
    ) as running:
        yield running


@pytest.fixture
async def victim(app: World, valkey: str) -> AsyncIterator[World]:
    plain = await make_api_key(valkey, VICTIM, EVERY_BUT_ADMIN)
    async with client(str(app.api.base_url), plain) as api:
        yield World(api, app.phone, app.service, app.settings)


@pytest.fixture
async def rival(app: World, valkey: str) -> AsyncIterator[httpx.AsyncClient]:
    plain = await make_api_key(valkey, RIVAL, EVERY_BUT_ADMIN)
    async with client(str(app.api.base_url), plain) as api:
        yield api


@pytest.fixture
async def theirs(app: World, victim: World) -> Theirs:
    defined = await app.api.put(f"/v1/apps/{VICTIM}", json={"test_numbers": {CLOSED: "739154"}})
    assert defined.status_code == 201
    closed = await victim.start(CLOSED)
    assert (await victim.verify(closed["id"], "739154")).json()["approved"]
    body = {"to": LIVE, "callback_url": "https://aurora.example/hook"}
    live = await victim.api.post("/v1/verifications", json=body, headers=IDEMPOTENT)
    assert live.status_code == 201
    (code,) = await victim.codes(LIVE)
    await victim.verify(live.json()["id"], "000000")
    sent = await victim.api.post("/v1/notices", json={"to": NOTICED, "event": "email_changed"})
    assert sent.status_code == 201
    assert (await victim.api.put(f"/v1/opt-outs/{STOPPED}")).status_code == 200
    await app.service.tasks.drain(5)
    await app.service.statistics()
    events = (await victim.api.get("/v1/audit/events")).json()["events"]
    (pseudonym,) = {e["recipient"] for e in events if e.get("verification") == live.json()["id"]}
    found = (await app.api.get(f"/v1/apps/{VICTIM}/keys")).json()["keys"]
    return Theirs(
        live=live.json()["id"],
        closed=closed["id"],
        notice=sent.json()["id"],
        code=code,
        key_id=found[0]["id"],
        pseudonym=pseudonym,
        events=tuple(event["id"] for event in events),
    )


def _guesses(theirs: Theirs) -> list[str]:
    """The victim's ids, and what somebody makes of them who thinks that a check is careless."""
    rng = random.Random(theirs.live)
    found = []
    for id_ in (theirs.live, theirs.closed, theirs.notice):
        kind, partition, rest = id_[:3], id_[4:6], id_[6:]
        other = "ntc" if kind == "ver" else "ver"
        found += [
            id_,
            f"{other}_{partition}{rest}",
            f"{kind}_{(int(partition) + 1) % 64:02d}{rest}",
            f"{kind}_64{rest}",
            id_.upper(),
            f"{id_}%20",
            f"{id_}%00",
            f"%2e%2e%2f{id_}",
            f"{id_}:app:{VICTIM}",
            f"{kind}_{partition}{'*' * 32}",
            f"{kind}_{partition}{rng.getrandbits(128):032x}",
        ]
    return found


def _of_ids(method: str, pattern: str, body: Any = None) -> Callable[[Theirs], Iterator[Attempt]]:
    def attempts(theirs: Theirs) -> Iterator[Attempt]:
        for guess in _guesses(theirs):
            yield Attempt(method, pattern.format(guess), body)

    return attempts


def _verify(theirs: Theirs) -> Iterator[Attempt]:
    for code in (theirs.code, "739154", "000000"):
        yield from _of_ids("POST", "/v1/verifications/{}/verify", {"code": code})(theirs)


def _listed(*paths: str) -> Callable[[Theirs], Iterator[Attempt]]:
    def attempts(theirs: Theirs) -> Iterator[Attempt]:
        for path in paths:
            yield Attempt("GET", path.format(theirs=theirs), denied=False)

    return attempts


def _events(theirs: Theirs) -> Iterator[Attempt]:
    number = LIVE.replace("+", "%2B")
    for query in (
        "", f"verification={theirs.live}", f"verification={theirs.notice}", f"recipient={number}",
        f"recipient={theirs.pseudonym}", "type=app.created", "type=opt_out.recorded", f"app={VICTIM}",
    ):  # fmt: skip
        path = f"/v1/audit/events?{query}"
        yield Attempt("GET", path, denied=False)
        yield Attempt("GET", path, headers={"accept": "application/x-ndjson"}, denied=False)


def _start(theirs: Theirs) -> Iterator[Attempt]:
    # The same person, purpose and Idempotency-Key: it is another's login all the same.
    for to in (LIVE, CLOSED):
        yield Attempt("POST", "/v1/verifications", {"to": to}, denied=False)
    body = {"to": LIVE, "callback_url": "https://borealis.example/hook"}
    yield Attempt("POST", "/v1/verifications", body, IDEMPOTENT, denied=False)


def _notice(theirs: Theirs) -> Iterator[Attempt]:
    body = {"to": NOTICED, "event": "email_changed"}
    yield Attempt("POST", "/v1/notices", body, denied=False)


def _record_opt_out(theirs: Theirs) -> Iterator[Attempt]:
    for number in (LIVE, STOPPED):
        yield Attempt("PUT", f"/v1/opt-outs/{number}", denied=False)


def _of_operators(theirs: Theirs) -> Iterator[Attempt]:
    path = f"/v1/apps/{VICTIM}"
    of_keys = f"{path}/keys"
    for method, where, body in (
        ("GET", "/v1/apps", None), ("GET", path, None), ("PUT", path, {}), ("DELETE", path, None),
        ("GET", of_keys, None), ("POST", of_keys, {"scopes": ["admin"]}),
        ("DELETE", f"{of_keys}/{theirs.key_id}", None),
        ("DELETE", f"/v1/apps/{RIVAL}/keys/{theirs.key_id}", None),
    ):  # fmt: skip
        yield Attempt(method, where, body, {"if-match": "*"})


def _nothing(_: Theirs) -> Iterator[Attempt]:
    return iter(())


_WEBHOOK = {"telnyx-signature-ed25519": "AAAA", "telnyx-timestamp": "1"}
OPERATIONS: dict[str, Callable[[Theirs], Iterator[Attempt]]] = {
    "startVerification": _start,
    "getVerification": _of_ids("GET", "/v1/verifications/{}"),
    "verifyCode": _verify,
    "resendCode": _of_ids("POST", "/v1/verifications/{}/resend"),
    "cancelVerification": _of_ids("POST", "/v1/verifications/{}/cancel"),
    "sendNotice": _notice,
    "getNotice": _of_ids("GET", "/v1/notices/{}"),
    "cancelNotice": _of_ids("POST", "/v1/notices/{}/cancel"),
    "getOptOut": lambda _: iter([Attempt("GET", f"/v1/opt-outs/{STOPPED}")]),
    "liftOptOut": lambda _: iter([Attempt("DELETE", f"/v1/opt-outs/{STOPPED}")]),
    "recordOptOut": _record_opt_out,
    "listOptOuts": _listed("/v1/opt-outs"),
    "listAuditEvents": _events,
    "listAuditCheckpoints": _listed("/v1/audit/checkpoints"),
    "deliveryStatistics": _listed(
        "/v1/stats/deliveries", f"/v1/stats/deliveries?app={VICTIM}&group_by=app,country"
    ),
    "verificationStatistics": _listed(
        "/v1/stats/verifications", f"/v1/stats/verifications?app={VICTIM}"
    ),
    "receiveEvent": lambda _: iter([Attempt("POST", "/webhooks/telnyx", {}, _WEBHOOK)]),
    "receiveReport": _of_ids("POST", f"/webhooks/telnyx/{{}}.1.{'0' * 32}", {}),
    "publishKeys": _listed("/.well-known/jwks.json"),
    "metrics": _listed("/metrics"),
    "listApps": _of_operators,
    # Asked together with it: nothing of them is for an app.
    **dict.fromkeys(
        ("getApp", "putApp", "deleteApp", "listKeys", "createKey", "revokeKey"), _nothing
    ),
    # Of no app at all: the same for everybody, and from no store.
    **dict.fromkeys(("livez", "readyz", "docs", "openapi", "problem"), _nothing),
}


async def _dump(redis: Redis) -> dict[str, Any]:
    """The whole store, but for when a key was last used and who counts."""
    names = sorted(
        {str(name) async for name in redis.scan_iter(count=1_000)}
        - {"cs:api-keys-used", keys.STATS_LEASE}
    )
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.type(name)
    kinds = await pipe.execute()
    pipe = redis.pipeline(transaction=False)
    readers: dict[str, Callable[[str], Any]] = {
        "string": pipe.get,
        "hash": pipe.hgetall,
        "list": lambda name: pipe.lrange(name, 0, -1),
        "zset": lambda name: pipe.zrange(name, 0, -1, withscores=True),
        "set": pipe.smembers,
        "stream": pipe.xrange,
    }
    for name, kind in zip(names, kinds, strict=True):
        readers[kind](name)
    return dict(zip(names, await pipe.execute(), strict=True))


def _check_untouched(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, value in before.items():
        kind = name.partition("}:")[2]
        if kind == "audit":
            assert after[name][: len(value)] == value
            added = [json.loads(fields["event"]) for _, fields in after[name][len(value) :]]
            assert all(event.get("app") != VICTIM for event in added), added
        elif kind not in SHARED and not kind.startswith(SHARED_KINDS):
            assert after.get(name) == value, name


async def _try(rival: httpx.AsyncClient, attempt: Attempt, theirs: Theirs) -> None:
    answer = await rival.request(
        attempt.method, attempt.path, json=attempt.body, headers=attempt.headers
    )
    about = f"{attempt.method} {attempt.path} -> {answer.status_code} {answer.text}"
    if attempt.denied:
        assert answer.status_code in (401, 403, 404), about
    else:
        assert answer.is_success, about
    # What was asked for may be named again; nothing else may.
    told = answer.text.replace(attempt.path, "")
    assert not [word for word in theirs.words if word in told], about


async def _view(victim: World, theirs: Theirs) -> list[Any]:
    """All that the victim can ask for of its own."""
    paths = (
        f"/v1/verifications/{theirs.live}", f"/v1/verifications/{theirs.closed}",
        f"/v1/notices/{theirs.notice}", f"/v1/opt-outs/{STOPPED}", "/v1/opt-outs",
        "/v1/stats/deliveries", "/v1/stats/verifications", "/v1/audit/events",
    )  # fmt: skip
    return [(await victim.api.get(path)).json() for path in paths]


async def test_no_app_sees_or_affects_anothers(
    app: World, victim: World, rival: httpx.AsyncClient, theirs: Theirs, redis: Redis
) -> None:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    known = {o["operationId"] for methods in document["paths"].values() for o in methods.values()}
    assert known == set(OPERATIONS), "say here how each operation is tried by another app"

    view, asked = await _view(victim, theirs), 0
    first = before = await _dump(redis)
    for name, attempts in OPERATIONS.items():
        tried = list(attempts(theirs))
        for attempt in tried:
            await _try(rival, attempt, theirs)
            await app.service.tasks.drain(5)
        after = await _dump(redis)
        if all(attempt.denied for attempt in tried):
            assert after == before, name
        _check_untouched(first, after)
        before, asked = after, asked + len(tried)
    assert asked > 300
    assert await _view(victim, theirs) == view
    # Its code is as right as it was, and its Idempotency-Key still means its own login.
    body = {"to": LIVE, "callback_url": "https://aurora.example/hook"}
    again = await victim.api.post("/v1/verifications", json=body, headers=IDEMPOTENT)
    assert again.json()["id"] == theirs.live
    assert (await victim.verify(theirs.live, theirs.code)).json()["approved"]
