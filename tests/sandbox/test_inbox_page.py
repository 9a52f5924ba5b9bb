"""The inbox in a browser: what people see and do there, with the service behind it."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Any, Literal

import httpx
import pytest
from playwright.async_api import Browser, Page, expect
from redis.asyncio import Redis

from service.sandbox.scenarios import OUTCOMES, Kind
from tests import applications
from tests.browser import Watched, chromium, watched
from tests.harness import (
    TELNYX_KEY,
    World,
    client,
    eventually,
    free_port,
    read_code,
    sandbox_config,
    serving,
    world,
)

pytestmark = pytest.mark.anyio

Opened = AbstractAsyncContextManager[Watched]
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_READ = (
    *("h1", ".product", "#connection", ".segments button", ".name", ".last", ".who h2", ".who p"),
    *(".kind", ".sender strong", ".message .bubble", ".code", ".life span", "summary"),
    *(".life [data-mood=good] span", ".reply .bubble", ".facts", "#blocked", ".quick button"),
    *(".send", ".outcome", "#phones time", ".avatar"),
)
_numbers = count(1)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest.fixture(scope="module")
async def app(browser: Browser, valkey: str) -> AsyncIterator[World]:
    del browser  # without one there is nothing to start
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    async with world(valkey) as running:
        yield running


@pytest.fixture(scope="module")
async def _tab(browser: Browser, app: World) -> AsyncIterator[Watched]:
    clipboard = ["clipboard-read", "clipboard-write"]
    async with watched(browser, f"{app.phone.base_url}/", permissions=clipboard) as found:
        yield found


@pytest.fixture
def number() -> str:
    """A number of the test's own, delivered to."""
    return f"+1202557{next(_numbers):04d}"


@pytest.fixture
async def page(_tab: Watched, number: str) -> AsyncIterator[Page]:
    """A page that the tests share, with the chat of ``number`` open."""
    await _tab.page.locator("#search").fill("")
    await _open(_tab.page, number)
    await _live(_tab.page)
    yield _tab.page
    assert _tab.complaints == []


async def _open(page: Page, number: str) -> None:
    """Open another chat of the same page, with nothing in focus."""
    await page.evaluate(
        "number => { document.activeElement.blur(); location.hash = number; }", number
    )


def _inbox(browser: Browser, app: World, number: str = "", **options: Any) -> Opened:
    return watched(browser, f"{app.phone.base_url}/{'#' if number else ''}{number}", **options)


async def _send(sandbox: httpx.AsyncClient, to: str, text: str, **fields: str) -> httpx.Response:
    body = {"from": "+18445550001", "to": to, "text": text, **fields}
    key = {"authorization": f"Bearer {TELNYX_KEY}"}
    return await sandbox.post("/v2/messages/long_code", json=body, headers=key)


async def _live(page: Page) -> None:
    await expect(page.locator("#connection")).to_have_text("Live")


def _messages(page: Page, phase: str = "arrived") -> Any:
    return page.locator(f"#thread .message[data-phase={phase}]")


async def test_a_message_appears_by_itself(page: Page, app: World, number: str) -> None:
    await expect(page.locator("#quiet")).to_contain_text(number)
    await _send(app.phone, number, "482913 is your code")
    message = _messages(page)
    await expect(message.locator(".bubble")).to_contain_text("482913 is your code")
    await expect(message.locator(".kind")).to_have_text("Long code")
    life = message.locator(".life li > span")
    await expect(life).to_have_text(["Queued", "Sent", "Delivered"])
    await expect(page.locator("#announce")).to_contain_text("482913 is your code")
    await expect(page.locator("#phones a[aria-current]")).to_contain_text(number[-4:])


async def test_a_fallback_is_seen_in_order_and_its_code_is_right(page: Page, app: World) -> None:
    to = "+12025560100"
    await _open(page, to)
    started = await app.start(to)
    all_ = page.locator("#thread .message")
    await expect(all_.locator(".kind")).to_have_text(["Short code", "Long code"])
    await expect(_messages(page, "absent").locator(".life")).to_contain_text("Delivery failed")
    await expect(all_.nth(1)).to_have_attribute("data-phase", "arrived")
    await all_.first.locator("summary", has_text="2 webhooks").click()
    reports = all_.first.locator(".reports li code")
    # In the order in which they were taken, which is not always that of the events.
    for event in ("message.sent", "message.finalized"):
        await expect(reports.filter(has_text=event)).to_have_count(1)
    await page.keyboard.press("c")
    code = await page.evaluate("navigator.clipboard.readText()")
    assert code == read_code((await app.messages(to))[-1]["text"])
    assert (await app.verify(started["id"], code)).json()["approved"]


async def test_stop_and_start_written_back_reach_the_service(
    page: Page, app: World, number: str
) -> None:
    async def opted_out() -> int:
        return (await app.api.get(f"/v1/opt-outs/{number}")).status_code

    await page.get_by_role("button", name="STOP").click()
    await expect(page.locator("#blocked")).to_be_visible()
    await expect(page.locator("#thread .reply .bubble")).to_have_text("STOP")
    await eventually(lambda: _is(opted_out, 200))
    assert (await _send(app.phone, number, "hello")).status_code == 409
    await page.get_by_label("Write back as this phone").fill("start")
    await page.keyboard.press("Enter")
    await expect(page.locator("#blocked")).to_be_hidden()
    await eventually(lambda: _is(opted_out, 404))


async def _is(ask: Any, wanted: int) -> bool:
    return bool(await ask() == wanted)


async def test_an_outage_is_switched_on_shown_and_ended(
    page: Page, app: World, number: str
) -> None:
    await page.get_by_role("button", name="Down").click()
    await expect(page.locator("#outage-banner")).to_contain_text(re.compile(r"Back in \d+ s"))
    assert (await _send(app.phone, number, "hello")).status_code == 503
    await page.get_by_role("button", name="End it now").click()
    await expect(page.locator("#outage-banner")).to_be_hidden()
    assert (await _send(app.phone, number, "hello")).status_code == 200
    await app.phone.post("/sandbox/outages", json={"mode": "slow", "seconds": 0.3})
    slow = page.get_by_role("button", name="Slow")
    await expect(slow).to_have_attribute("aria-pressed", "true")
    await expect(slow).to_have_attribute("aria-pressed", "false")


async def test_an_outcome_is_chosen_from_all_of_them(page: Page, app: World, number: str) -> None:
    await page.get_by_role("button", name="What happens to messages").click()
    offered = await page.locator("#outcomes input").evaluate_all("all => all.map(i => i.value)")
    assert offered == ["0001", *OUTCOMES]
    kinds = await page.locator("#outcome-kind option").evaluate_all("all => all.map(o => o.value)")
    assert kinds == ["", *Kind]
    await page.get_by_role("radio", name="Wrongly delivered").check()
    await page.get_by_role("button", name="Set outcome").click()
    await expect(page.locator("#outcome-now")).to_have_text("Wrongly delivered")
    await _send(app.phone, number, "482913 is your code")
    absent = _messages(page, "absent")
    await expect(absent).to_contain_text("never reached the phone")
    await expect(absent.locator(".life")).to_contain_text("Delivered")


async def test_texts_are_shown_as_texts(page: Page, app: World, number: str) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script> 123456 </p>"
    await _send(app.phone, number, evil)
    await app.phone.post("/sandbox/inbound", json={"from": number, "text": "<b>who</b>"})
    await page.locator(f"#phones a[href='#{number}']").click()
    await expect(_messages(page).locator(".bubble")).to_have_text(evil)
    await expect(page.locator("#thread .reply .bubble")).to_have_text("<b>who</b>")
    await expect(page.locator(f"#phones a[href='#{number}'] .last")).to_have_text("You: <b>who</b>")
    assert await page.locator("main img, main script, #thread b").count() == 0


async def test_unread_messages_are_counted_until_they_are_seen(
    browser: Browser, app: World, number: str
) -> None:
    async with _inbox(browser, app, "+12025579999") as inbox:
        page = inbox.page
        await _live(page)
        for text in ("first", "second"):
            await _send(app.phone, number, text)
        row = page.locator(f"#phones a[href='#{number}']")
        await expect(row.locator(".unread")).to_have_text("2 unread")
        await expect(page).to_have_title(re.compile(r"^\(\d+\) Inbox"))
        await expect(page.locator("#phones a").first).to_have_attribute("href", f"#{number}")
        await row.click()
        await expect(row.locator(".unread")).to_be_hidden()
        await page.reload()
        await _live(page)
        await expect(row.locator(".unread")).to_be_hidden()


async def test_everything_can_be_done_from_the_keyboard(page: Page, app: World) -> None:
    one, two = "+12025581001", "+12025581002"
    for to in (one, two):
        await _send(app.phone, to, f"hello {to}")
    await _open(page, one)
    press = page.keyboard.press
    await press("/")
    await page.keyboard.type("+1202558100")
    await expect(page.locator("#phones a")).to_have_count(2)
    await press("ArrowDown")
    await press("ArrowDown")
    await press("ArrowUp")
    await expect(page.locator(f"#phones a[href='#{two}']")).to_be_focused()
    await press("Enter")
    await expect(page.locator("#who-number")).to_have_text("+1 202 558 1002")
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.type("hi")
    await press("Enter")
    await expect(page.locator("#thread .reply .bubble")).to_have_text("hi")
    await press("Escape")
    await expect(page.locator(f"#phones a[href='#{two}']")).to_be_focused()
    await press("n")
    await page.get_by_label("Number", exact=True).fill("+12025581003")
    await press("Enter")
    await expect(page.locator("#who-number")).to_have_text("+1 202 558 1003")
    assert page.url.endswith("#+12025581003")


async def test_a_lost_connection_is_made_again(browser: Browser) -> None:
    """A stop ends at once though a page is open, and the page finds the sandbox that comes after."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with await browser.new_context() as context, client(url) as phone:
        page = await context.new_page()
        async with serving(applications.sandbox(sandbox_config()), port):
            await page.goto(f"{url}/#+12025550001")
            await _live(page)
            await _send(phone, "+12025550001", "of the first")
            await expect(_messages(page)).to_have_count(1)
        await expect(page.locator("#connection")).to_have_text("Reconnecting")
        async with serving(applications.sandbox(sandbox_config()), port):
            await _live(page)
            await expect(_messages(page)).to_have_count(0)
            await _send(phone, "+12025550001", "of the second")
            await expect(_messages(page).locator(".bubble")).to_have_text("of the second")


async def test_it_can_be_read_and_every_control_has_a_name(
    browser: Browser, app: World, number: str
) -> None:
    await _send(app.phone, number, "482913 is your code")
    await app.phone.post("/sandbox/inbound", json={"from": number, "text": "STOP"})
    async with _inbox(browser, app, number, reduced_motion="reduce") as inbox:
        await expect(_messages(inbox.page).locator(".life")).to_contain_text("Delivered")
        for scheme in _SCHEMES:
            await inbox.page.emulate_media(color_scheme=scheme)
            found = await inbox.contrasts(*_READ)
            assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}
        assert await inbox.nameless() == []


async def test_a_narrow_screen_shows_one_pane_at_a_time(
    browser: Browser, app: World, number: str
) -> None:
    await _send(app.phone, number, "482913 is your code " + "x" * 90)
    size = {"width": 360, "height": 700}
    async with _inbox(browser, app, viewport=size, reduced_motion="reduce") as inbox:
        page = inbox.page
        await expect(page.locator("#chat")).to_be_hidden()
        assert not await inbox.overflows()
        await page.locator(f"#phones a[href='#{number}']").click()
        await expect(_messages(page)).to_be_visible()
        await page.locator("summary").click()
        assert not await inbox.overflows()
        box = await _messages(page).locator(".bubble").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]
        await page.get_by_role("button", name="Back to the phones").click()
        await expect(page.locator("#phones")).to_be_visible()
        await expect(page.locator("#chat")).to_be_hidden()
