"""Who may see what: sessions, forms of other sites, keys of other apps, and what never stands in a page."""

import re

import pytest
from redis.asyncio import Redis

from service.api.key_limits import FailedKeys
from service.clock import SystemClock
from service.domain.guard import Limit
from service.store.api_keys import ApiKeyStore, Scope
from service.store.connection import Connection
from service.store.sessions import IDLE, LONGEST, SessionStore
from tests.dashboard.run import FELL_BACK, Run, counted, pump, signed_in
from tests.harness import client, make_api_key

PAGES = ("overview", "person", "opt-outs", "blocks", "health")


def _form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", PAGES)
async def test_without_a_session_there_is_only_the_sign_in(run: Run, page: str) -> None:
    async with client(run.url) as browser:
        for token in ("", "x" * 43):
            browser.cookies.set("countersign_session", token)
            answer = await browser.get(f"/dashboard/{page}")
            assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/sign-in")
        refused = await browser.post("/dashboard/blocks/release", data={"key": "run:0"})
        assert refused.headers["location"] == "/dashboard/sign-in"


async def test_the_cookie_is_the_dashboards_alone_and_the_store_has_no_token(
    run: Run, valkey: str
) -> None:
    async with client(run.url) as browser:
        answer = await browser.post("/dashboard/sign-in", data={"key": f" {run.own} "})
        said = answer.headers["set-cookie"].lower()
        for word in (
            "httponly",
            "samesite=strict",
            "path=/dashboard",
            f"max-age={LONGEST // 1000}",
        ):
            assert word in said
        token = browser.cookies["countersign_session"]
        async with Redis.from_url(valkey) as redis:
            content = [key + (await redis.dump(key) or b"") async for key in redis.scan_iter()]
            names = [key async for key in redis.scan_iter("cs:*:w:*")]
            ends = [await redis.pttl(name) for name in names]
        assert ends
        assert all(0 < end <= IDLE for end in ends)
        assert not any(token.encode() in one for one in content)
        for page in PAGES:
            shown = await browser.get(f"/dashboard/{page}")
            assert shown.status_code == 200
            assert shown.headers["cache-control"] == "no-store"
            assert "unsafe" not in shown.headers["content-security-policy"]
            assert "default-src 'none'" in shown.headers["content-security-policy"]
            assert run.own.split("_", 2)[2] not in shown.text


async def test_what_is_no_key_or_may_not_audit_is_told_so(run: Run) -> None:
    async with client(run.url) as browser:
        for key, said in (
            (run.weak, "lacks the scope audit"),
            (f"{run.own}x", "no key that is valid"),
        ):
            answer = await browser.post("/dashboard/sign-in", data={"key": key})
            assert answer.status_code == 403
            assert said in answer.text
            assert "set-cookie" not in answer.headers
            assert key not in answer.text


async def test_who_tries_many_keys_has_to_wait_and_a_good_key_has_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = run.app.service.api.state.parts.key_limits
    monkeypatch.setattr(limits, "_failed", FailedKeys(Limit(3, 60)))
    async with client(run.url) as browser:
        answers = [
            await browser.post("/dashboard/sign-in", data={"key": f"cs_{n}_x"}) for n in range(4)
        ]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 429]
    assert "Too many keys were wrong" in answers[-1].text
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    async with signed_in(run, run.own) as browser:
        assert (await browser.get("/dashboard/health")).status_code == 200


async def test_signing_out_ends_the_session(run: Run) -> None:
    async with signed_in(run, run.own) as browser:
        token = _form_token((await browser.get("/dashboard/health")).text)
        cookie = browser.cookies["countersign_session"]
        await browser.post("/dashboard/sign-out", data={"form_token": token})
        assert "countersign_session" not in browser.cookies
        browser.cookies.set("countersign_session", cookie)
        assert (await browser.get("/dashboard/health")).status_code == 303


async def test_a_session_ends_with_its_key_and_in_any_case(run: Run, valkey: str) -> None:
    key = await make_api_key(valkey, scopes=(Scope.AUDIT,))
    connection = await Connection.open(valkey)
    sessions = SessionStore(connection, lambda purpose, value: f"{len(purpose + value):032x}")
    now = SystemClock().now()
    token = await sessions.begin("0" * 12, now)
    assert await sessions.find(token, now + LONGEST - 1)
    assert await sessions.find(token, now + LONGEST) is None
    async with signed_in(run, key) as browser:
        assert (await browser.get("/dashboard/health")).status_code == 200
        assert await ApiKeyStore(connection, SystemClock()).revoke(key.split("_")[1])
        run.app.service.api.state.parts.api_keys._cache.clear()  # it would end within 5 seconds
        assert (await browser.get("/dashboard/health")).status_code == 303
    await connection.close()


async def test_a_form_of_another_site_or_session_is_refused(run: Run) -> None:
    async with signed_in(run, run.admin) as browser:
        token = _form_token((await browser.get("/dashboard/person")).text)
        form = {"number": FELL_BACK, "form_token": token}
        for changed, headers in (
            ({"form_token": ""}, {}),
            ({"form_token": "0" * 32}, {}),
            ({}, {"origin": "https://evil.example"}),
        ):
            answer = await browser.post("/dashboard/person", data=form | changed, headers=headers)
            assert answer.status_code == 403
        same = {"origin": run.url}
        assert (await browser.post("/dashboard/person", data=form, headers=same)).status_code == 200


async def test_a_key_of_another_app_sees_nothing_of_this_one(run: Run) -> None:
    await pump(run.app)
    async with signed_in(run, run.admin) as admin, signed_in(run, run.other) as other:
        await counted(run, admin)
        overview = (await other.get("/dashboard/overview")).text
        assert "Nothing was started in this time." in overview
        assert "No message was sent in this time." in overview
        form = {"number": FELL_BACK, "form_token": _form_token(overview)}
        assert run.login not in (await other.post("/dashboard/person", data=form)).text
        assert "Nothing is blocked." in (await other.get("/dashboard/blocks")).text
        assert "Nothing is blocked." not in (await admin.get("/dashboard/blocks")).text


async def test_only_an_admin_releases(run: Run) -> None:
    await pump(run.app)
    async with signed_in(run, run.admin) as admin, signed_in(run, run.own) as own:
        page = (await admin.get("/dashboard/blocks")).text
        (key, *_) = re.findall(r'name="key" value="([a-z]+:[0-9a-f]{32})"', page)
        own_page = (await own.get("/dashboard/blocks")).text
        assert "<button aria-label" not in own_page
        form = {"key": key, "form_token": _form_token(own_page)}
        assert (await own.post("/dashboard/blocks/release", data=form)).status_code == 403
        form = {"key": "run:nonsense", "form_token": _form_token(page)}
        assert (await admin.post("/dashboard/blocks/release", data=form)).status_code == 422
        for one in re.findall(r'name="key" value="([a-z]+:[0-9a-f]{32})"', page):
            form = {"key": one, "form_token": _form_token(page)}
            assert (await admin.post("/dashboard/blocks/release", data=form)).status_code == 303
        assert "Nothing is blocked." in (await admin.get("/dashboard/blocks")).text


async def test_a_persons_number_stands_nowhere_in_plain(run: Run) -> None:
    async with signed_in(run, run.own) as browser:
        token = _form_token((await browser.get("/dashboard/person")).text)
        for written in (FELL_BACK, "+1 (202) 555-0100", "001 202 555 0100"):
            form = {"number": written, "form_token": token}
            answer = await browser.post("/dashboard/person", data=form)
            assert answer.status_code == 200
            assert run.login in answer.text
            assert "+1********00" in answer.text
            assert "5550100" not in re.sub(r"\D", "", answer.text.replace(run.login, ""))
        form = {"number": "<b>12", "form_token": token}
        answer = await browser.post("/dashboard/person", data=form)
        assert answer.status_code == 422
        assert "<b>12" not in answer.text
