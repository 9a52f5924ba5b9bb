"""Apps by the admin API: what each has of its own, and that no edit is lost."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from service.store.api_keys import Scope
from tests.harness import World, client, make_api_key, world

PHONE, OTHER = "+12025550123", "+12025550124"
HOOK = "https://shop.example/hooks"
_NAMES = (f"shop-{n}" for n in itertools.count())


@pytest.fixture
def shop() -> str:
    """An app that no other test knows: the service remembers definitions for some seconds."""
    return next(_NAMES)


async def _put(
    app: World, name: str, definition: dict[str, Any], tag: str | None = None
) -> httpx.Response:
    headers = {} if tag is None else {"if-match": tag}
    return await app.api.put(f"/v1/apps/{name}", json=definition, headers=headers)


@asynccontextmanager
async def _of(app: World, valkey: str, name: str, *scopes: Scope) -> AsyncIterator[World]:
    """The world as an app's backend sees it."""
    plain = await make_api_key(valkey, name, scopes or (Scope.VERIFICATIONS,))
    async with client(str(app.api.base_url), plain) as api:
        yield World(api, app.phone, app.service, app.settings)


async def _events(app: World, **query: str) -> list[dict[str, Any]]:
    answer = await app.api.get("/v1/audit/events", params={"limit": "1000", **query})
    return list(answer.json()["events"])


def _seconds(v: dict[str, Any]) -> float:
    created, expires = (datetime.fromisoformat(v[name]) for name in ("created_at", "expires_at"))
    return (expires - created).total_seconds()


async def test_an_app_has_what_it_names_and_the_rest_is_the_configurations(
    app: World, valkey: str, shop: str
) -> None:
    definition = {
        "name": "The Shop",
        "routes": [{"countries": ["US"], "plan": ["long"]}],
        "callback_url": HOOK,
        "code_length": 8,
        "ttl": 120,
    }
    created = await _put(app, shop, definition)
    assert (created.status_code, created.headers["location"]) == (201, f"/v1/apps/{shop}")
    read = (await app.api.get(f"/v1/apps/{shop}")).json()
    assert created.json() == read
    assert {k: v for k, v in read["definition"].items() if v is not None} == definition
    assert (read["app"], read["revision"], read["test_numbers"]) == (shop, 1, [])

    async with _of(app, valkey, shop) as of_shop:
        v = await of_shop.start(PHONE)
        (*_, message) = await app.messages(PHONE)
        assert " is your The Shop code" in message["text"]
        assert len(message["text"].split()[0]) == 8
        assert (message["kind"], _seconds(v)) == ("long_code", 120)
        async with Redis.from_url(valkey, decode_responses=True) as redis:
            assert await redis.hget(f"cs:{{{v['id'][4:6]}}}:v:{v['id']}", "callback") == HOOK
        asked = await of_shop.start(OTHER, code_length=4, ttl=60)
        assert len((await app.messages(OTHER))[-1]["text"].split()[0]) == 4
        assert _seconds(asked) == 60
    # The caller of `app` is another app: nothing of this is its own.
    theirs = await app.start(OTHER)
    assert theirs["deliveries"][0]["sender"] == "short"
    assert " is your Countersign code" in (await app.messages(OTHER))[-1]["text"]
    assert _seconds(theirs) == app.settings.codes.ttl


async def test_an_app_that_nobody_defined_goes_by_the_configuration(
    app: World, valkey: str, shop: str
) -> None:
    phone = "+12025550125"  # the sandbox remembers what other tests sent
    async with _of(app, valkey, shop) as of_shop:
        v = await of_shop.start(phone)
        (code,) = await app.codes(phone)
        assert (await of_shop.verify(v["id"], code)).json()["approved"]
    assert (await app.api.get(f"/v1/apps/{shop}")).status_code == 404
    default = (await app.api.get("/v1/apps/default")).json()
    assert default["revision"] == 0
    listed = (await app.api.get("/v1/apps")).json()["apps"]
    assert default in listed
    assert shop not in [one["app"] for one in listed]


async def test_no_edit_is_lost(app: World, shop: str) -> None:
    created = await _put(app, shop, {"name": "One"})
    first = created.headers["etag"]
    for tag, status, slug in (
        (None, 428, "app-exists"),
        ('"7-7"', 412, "app-changed"),
        ("first", 422, "invalid-request"),
    ):
        refused = await _put(app, shop, {"name": "Two"}, tag)
        assert (refused.status_code, refused.json()["type"]) == (status, f"/problems/{slug}")
    edits = await asyncio.gather(*(_put(app, shop, {"name": f"N{n}"}, first) for n in range(6)))
    assert sorted(edit.status_code for edit in edits) == [200, 412, 412, 412, 412, 412]
    (won,) = (edit for edit in edits if edit.status_code == 200)
    read = await app.api.get(f"/v1/apps/{shop}")
    assert read.json() == won.json()
    assert read.headers["etag"] == won.headers["etag"] != first
    assert read.json()["revision"] == 2
    assert (await _put(app, shop, {}, "*")).json()["revision"] == 3
    # Deleted and made anew it is another: who still holds the old tag overwrites nothing.
    assert (await app.api.delete(f"/v1/apps/{shop}")).status_code == 204
    assert (await _put(app, shop, {}, "*")).status_code == 412
    assert (await _put(app, shop, {"name": "One"})).status_code == 201
    assert (await _put(app, shop, {"name": "Two"}, first)).status_code == 412


async def test_each_change_is_one_event_without_its_values(app: World, shop: str) -> None:
    tag = (await _put(app, shop, {"name": "One", "callback_url": HOOK})).headers["etag"]
    await _put(app, shop, {"name": "Two", "callback_url": HOOK, "ttl": 60}, tag)
    await _put(app, shop, {"name": "Lost"}, tag)
    await app.api.delete(f"/v1/apps/{shop}")
    events = [event for event in await _events(app) if event.get("app") == shop]
    assert [(e["type"], e["revision"], e["members"]) for e in events] == [
        ("app.created", 1, ["callback_url", "name"]),
        ("app.changed", 2, ["name", "ttl"]),
        ("app.deleted", 2, ["callback_url", "name", "ttl"]),
    ]
    assert len({event["actor"] for event in events}) == 1
    assert HOOK not in str(events)


@pytest.mark.parametrize(
    ("definition", "pointer", "said"),
    [
        ({"routes": [{"countries": ["US"], "plan": ["long", "nobody"]}]}, "/routes/0/plan/1", "brand, "),
        ({"senders": ["nobody"]}, "/senders/0", "configured sender"),
        (
            {"senders": ["brand"], "routes": [{"countries": ["*"], "plan": ["long"]}]},
            "/routes/0/plan/0",
            "this app's senders",
        ),
        ({"limits": {"recipient": ["5 a day"]}}, "/limits/recipient/0", "count/seconds"),
        ({"limits": {"api_key": []}}, "/limits", "not known"),
        ({"callback_url": "https://10.0.0.1/x"}, "/callback_url", "private"),
        ({"ttl": 601}, "/ttl", "600"),
        ({"test_numbers": {"+1202555019": "123456"}}, "/test_numbers", "number"),
        ({"test_numbers": {PHONE: "12345a"}}, "/test_numbers", "4 to 10 digits"),
        ({"test_numbers": ["+1"]}, "/test_numbers", "leave it out"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_and_nothing_is_written(
    app: World, shop: str, definition: dict[str, Any], pointer: str, said: str
) -> None:
    refused = await _put(app, shop, definition)
    assert refused.status_code == 422, refused.text
    (fault,) = refused.json()["errors"]
    assert fault["pointer"] == pointer
    assert said in fault["detail"]
    assert PHONE[1:] not in refused.text
    assert "12345a" not in refused.text
    assert (await app.api.get(f"/v1/apps/{shop}")).status_code == 404


@pytest.mark.parametrize("name", ["UP", "-x", "a" * 65, "a b"])
async def test_an_apps_name_is_a_slug(app: World, name: str) -> None:
    assert (await _put(app, name, {})).status_code == 422
    assert (await app.api.post(f"/v1/apps/{name}/keys", json={})).status_code == 422
    assert (await app.api.get(f"/v1/apps/{name}/keys")).status_code == 422
    assert (await app.api.get(f"/v1/apps/{name}")).status_code == 404


async def test_apps_are_for_the_scope_admin(app: World, valkey: str, shop: str) -> None:
    every_other = [scope for scope in Scope if scope is not Scope.ADMIN]
    async with _of(app, valkey, shop, *every_other) as of_shop:
        for method, path in (
            ("GET", "/v1/apps"), ("GET", f"/v1/apps/{shop}"), ("PUT", f"/v1/apps/{shop}"),
            ("DELETE", f"/v1/apps/{shop}"), ("GET", f"/v1/apps/{shop}/keys"),
            ("POST", f"/v1/apps/{shop}/keys"), ("DELETE", f"/v1/apps/{shop}/keys/0123456789ab"),
        ):  # fmt: skip
            answer = await of_shop.api.request(method, path, json={})
            assert answer.status_code == 403, (method, path)


async def test_senders_bound_what_may_be_sent_through(app: World, valkey: str, shop: str) -> None:
    await _put(app, shop, {"senders": ["long"]})
    async with _of(app, valkey, shop) as of_shop:
        refused = await of_shop.api.post(
            "/v1/verifications", json={"to": PHONE, "senders": ["short"]}
        )
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/senders"
        v = await of_shop.start(PHONE)
        assert [d["sender"] for d in v["deliveries"]] == ["long"]


async def test_a_limit_of_its_own_is_counted_for_the_app_alone(
    app: World, valkey: str, shop: str
) -> None:
    limits = {"recipient": ["2/600"], "client_ip": ["3/600"], "keys": {"device": ["4/600"]}}
    await _put(app, shop, {"limits": limits})

    async def start(of: World, to: str = PHONE) -> tuple[int, str | None]:
        body = {"to": to, "client_ip": "192.0.2.7", "limit_keys": {"device": "d"}}
        answer = await of.api.post("/v1/verifications", json=body)
        return answer.status_code, answer.json().get("limit")

    async with _of(app, valkey, shop) as of_shop:
        # All five of the configuration's recipient limit: they are none of the app's two.
        assert [await start(app) for _ in range(6)] == [(201, None)] * 5 + [(429, "recipient")]
        assert [await start(of_shop) for _ in range(3)] == [(201, None)] * 2 + [(429, "recipient")]
        assert await start(of_shop, OTHER) == (201, None)
        assert await start(of_shop, OTHER) == (429, "client_ip")
        assert await start(app, OTHER) == (201, None)


async def test_a_notice_says_the_apps_name(app: World, valkey: str, shop: str) -> None:
    await _put(app, shop, {"name": "The Shop"})
    async with _of(app, valkey, shop) as of_shop:
        sent = await of_shop.api.post("/v1/notices", json={"to": PHONE, "event": "number_changed"})
        assert sent.status_code == 201
    assert (await app.messages(PHONE))[-1]["text"].startswith("The Shop: ")


async def test_an_app_has_its_own_words_by_purpose_and_locale(
    app: World, valkey: str, shop: str
) -> None:
    texts = {"*": {"en": "{code}: {app}"}, "login": {"de": "{code} für {app}."}}
    assert (await _put(app, shop, {"name": "Der Laden", "texts": texts})).status_code == 201
    async with _of(app, valkey, shop) as of_shop:
        for start, said in (
            ({"locale": "de-AT"}, " für Der Laden."),
            ({"locale": "de", "purpose": "transfer"}, " ist der Der Laden-Code"),
            ({}, ": Der Laden"),
        ):
            await of_shop.start(PHONE, **start)
            assert said in (await app.messages(PHONE))[-1]["text"]
    await app.start(OTHER, locale="de")
    assert "Countersign-Code" in (await app.messages(OTHER))[-1]["text"]


@pytest.mark.parametrize(
    ("definition", "pointers"),
    [
        ({"name": "Shop{}"}, ["/name"]),
        (
            {"texts": {"login": {"en": "{app} lies", "de": "{code} {app} {x}"}, "*": {"fr": "x" * 200}}},
            ["/texts/login/en", "/texts/login/de", "/texts/*/fr"],
        ),
        ({"texts": {"login": {"english!": "{code} {app}"}}}, ["/texts/login"]),
    ],
)  # fmt: skip
async def test_words_that_cannot_be_sent_are_named(
    app: World, shop: str, definition: dict[str, Any], pointers: list[str]
) -> None:
    refused = await _put(app, shop, definition)
    assert refused.status_code == 422
    assert [fault["pointer"] for fault in refused.json()["errors"]] == pointers


async def test_keys_are_made_listed_and_revoked(app: World, shop: str) -> None:
    made = await app.api.post(
        f"/v1/apps/{shop}/keys", json={"scopes": ["verifications"], "expires_in": 3600}
    )
    assert made.status_code == 201
    key = made.json()
    async with client(str(app.api.base_url), key["key"]) as api:
        assert (await api.post("/v1/verifications", json={"to": PHONE})).status_code == 201
        assert (await api.get("/v1/apps")).status_code == 403
        listed = (await app.api.get(f"/v1/apps/{shop}/keys")).json()["keys"]
        assert [(one["id"], one["scopes"]) for one in listed] == [(key["id"], ["verifications"])]
        assert key["key"].rpartition("_")[2] not in str(listed)
        # Another app's path does not lead to it.
        assert (await app.api.delete(f"/v1/apps/other/keys/{key['id']}")).status_code == 404
        assert (await app.api.delete(f"/v1/apps/{shop}/keys/{key['id']}")).status_code == 204
        assert (await app.api.delete(f"/v1/apps/{shop}/keys/{key['id']}")).status_code == 404
        assert (await api.post("/v1/verifications", json={"to": PHONE})).status_code == 401
    events = [event for event in await _events(app) if event.get("app") == shop]
    assert [(e["type"], e["api_key"]) for e in events if e["type"].startswith("key.")] == [
        ("key.created", key["id"]),
        ("key.revoked", key["id"]),
    ]
    faults = (await app.api.post(f"/v1/apps/{shop}/keys", json={"scopes": ["root"]})).json()
    assert faults["errors"][0]["pointer"] == "/scopes/0"


async def test_a_deleted_app_has_no_keys_and_what_it_began_goes_on(
    app: World, valkey: str, shop: str
) -> None:
    await _put(app, shop, {"name": "The Shop"})
    key = (await app.api.post(f"/v1/apps/{shop}/keys", json={})).json()["key"]
    async with client(str(app.api.base_url), key) as api:
        v = (await api.post("/v1/verifications", json={"to": "+12025550103"})).json()
        assert (await app.api.delete(f"/v1/apps/{shop}")).status_code == 204
        assert (await api.get(f"/v1/verifications/{v['id']}")).status_code == 401
    assert (await app.api.get(f"/v1/apps/{shop}")).status_code == 404
    (listed,) = (await app.api.get(f"/v1/apps/{shop}/keys")).json()["keys"]
    assert listed["revoked_at"]
    async with _of(app, valkey, shop) as of_shop:  # An operator may well make the slug a new key.
        assert (await of_shop.get(v["id"]))["status"] == "pending"
    for name, status in (("default", 422), (shop, 404)):
        assert (await app.api.delete(f"/v1/apps/{name}")).status_code == status


async def test_what_a_longer_name_leaves_no_room_for_is_told_and_not_sent(
    redis: Redis, valkey: str, shop: str
) -> None:
    origin = f"https://{'a' * 50}.{'b' * 37}.example.com"
    async with world(valkey, codes={"resend_after": 0}) as app:
        assert (await _put(app, shop, {"name": "Shop"})).status_code == 201
        async with _of(app, valkey, shop) as of_shop:
            v = await of_shop.start(PHONE, web_origin=origin)
            longer = await _put(app, shop, {"name": "N" * 40}, tag="*")
            assert longer.status_code == 200
            resent = await of_shop.api.post(f"/v1/verifications/{v['id']}/resend")
            assert resent.status_code == 200, resent.text
            told = await of_shop.until(
                v["id"], lambda v: any(d["status"] == "rejected" for d in v["deliveries"])
            )
            first, *others = told["deliveries"]
            assert first["status"] != "rejected"
            assert {e["code"] for d in others for e in d["errors"]} == {"text"}
            assert len(await app.messages(PHONE)) == 1
            (code,) = await app.codes(PHONE)
            assert (await of_shop.verify(v["id"], code)).json()["approved"]
