"""The dashboard in a browser, with data of a real run: what stands there, and that everybody can use it."""

from collections.abc import AsyncIterator
from importlib import resources
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, expect
from redis.asyncio import Redis

from tests.browser import Watched, chromium, watched
from tests.dashboard.run import FELL_BACK, STOPPED, Run, counted, pump, running, signed_in

_AXE = resources.files("axe_playwright_python") / "axe.min.js"
PAGES = ("overview", "person", "opt-outs", "blocks", "health")
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_RUN_AXE = """
async () => (await axe.run({ resultTypes: ["violations"] })).violations
  .map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 90)).join(" | ")}`)
"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest.fixture(scope="module")
async def run(browser: Browser, valkey: str) -> AsyncIterator[Run]:
    del browser  # without one there is nothing to start
    async with running(valkey) as found:
        await pump(found.app)
        async with signed_in(found, found.admin) as client:
            await counted(found, client)
        yield found


async def _sign_in(page: Page, key: str) -> None:
    """By the keyboard alone: the field has the focus."""
    await expect(page.get_by_label("API key")).to_be_focused()
    await page.keyboard.insert_text(key)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/dashboard/overview")


@pytest.fixture(scope="module")
async def tab(browser: Browser, run: Run) -> AsyncIterator[Watched]:
    async with watched(browser, f"{run.url}/dashboard") as found:
        await _sign_in(found.page, run.admin)
        yield found


@pytest.fixture
async def page(tab: Watched) -> AsyncIterator[Page]:
    """A page that the tests share, signed in."""
    yield tab.page
    assert tab.complaints == []


async def _open(page: Page, run: Run, name: str) -> None:
    await page.goto(f"{run.url}/dashboard/{name}")


async def _ask(page: Page, run: Run, number: str) -> None:
    await _open(page, run, "person")
    await expect(page.get_by_label("Phone number")).to_be_focused()
    await page.keyboard.insert_text(number)
    await page.keyboard.press("Enter")
    await expect(page.locator("article").first).to_be_visible()


async def test_the_overview_has_the_funnel_the_course_and_the_heat_map(
    page: Page, run: Run
) -> None:
    await _open(page, run, "overview")
    steps = page.locator(".funnel li")
    await expect(steps).to_have_count(4)
    started = await steps.nth(0).locator("b").inner_text()
    assert int(started) > int(await steps.nth(3).locator("b").inner_text()) == 1
    cell = page.locator(".heat tr", has=page.get_by_role("rowheader", name="US"))
    await expect(cell).to_contain_text("%")
    await expect(page.locator(".chart polyline")).to_have_count(6)  # each line, and its last hour
    await page.get_by_text("As a table").click()
    await expect(page.locator("details td.n").first).to_have_text(started)
    await page.get_by_role("link", name="Last 7 days").click()
    await expect(page.locator("nav.windows [aria-current]")).to_have_text("7d")
    # Another test's start may be counted meanwhile.
    assert int(await steps.first.locator("b").inner_text()) >= int(started)


async def test_the_overview_is_live(page: Page, run: Run) -> None:
    await page.clock.install()
    await _open(page, run, "overview")
    before = await page.locator(".funnel b").first.inner_text()
    await run.app.start("+12025550178")

    async def rises() -> None:
        for _ in range(40):
            await page.clock.run_for(5_100)
            await page.wait_for_timeout(100)
            if await page.locator(".funnel b").first.inner_text() != before:
                return
        raise AssertionError("nothing rises")

    await rises()
    await page.clock.resume()


async def test_a_persons_logins_are_told_in_plain_words(page: Page, run: Run) -> None:
    await _ask(page, run, FELL_BACK)
    story = page.locator("article", has_text=run.login)
    for words in (
        "A login flow asked to verify the number",
        "because it is the first message",
        "because the message before it was reported as failed",
        "The code was wrong (attempts left: 4)",
        "message 1, not delivered, Telnyx error",
        "The right code was typed",
        "of default",
    ):
        await expect(story).to_contain_text(words)
    await expect(story.locator(".tag")).to_have_text("approved")
    assert FELL_BACK[1:] not in page.url
    await _ask(page, run, STOPPED)
    await expect(page.locator("main")).to_contain_text("1 verification in the last 35 days")
    await expect(page.locator("main")).to_contain_text("Opted out of everything")
    await expect(page.locator("main")).to_contain_text("by a text of the person's")
    await expect(page.locator("main")).to_contain_text("The person asked for no more messages")


async def test_what_is_no_number_is_told_so(page: Page, tab: Watched, run: Run) -> None:
    await _open(page, run, "person")
    await expect(page.get_by_label("Phone number")).to_be_focused()
    await page.keyboard.insert_text("12")
    # Chromium itself says in its console that an answer was no success.
    async with page.expect_console_message(lambda said: "422" in said.text):
        await page.keyboard.press("Enter")
    tab.complaints.clear()
    await expect(page.get_by_role("alert")).to_contain_text("The number")
    await expect(page.get_by_label("Phone number")).to_have_attribute("aria-invalid", "true")


async def test_opt_outs_and_health_are_shown(page: Page, run: Run) -> None:
    await _open(page, run, "opt-outs")
    await expect(page.locator("tbody tr")).to_contain_text(["+1********77"])
    await _open(page, run, "health")
    await expect(page.locator("dl")).to_contain_text("Sealed events")
    await expect(page.locator("tbody tr").first).to_contain_text("%")


async def test_a_block_is_released_by_its_button(page: Page, run: Run) -> None:
    await _open(page, run, "blocks")
    buttons = page.get_by_role("button", name="Release")
    left = await buttons.count()
    assert left
    await expect(page.locator(".blocks li").first).to_contain_text("sent and 0 typed in")
    while left:
        await buttons.first.click()
        left -= 1
        await expect(buttons).to_have_count(left)
    await expect(page.locator("main")).to_contain_text("Nothing is blocked.")
    await pump(run.app)


@pytest.mark.parametrize("scheme", _SCHEMES)
async def test_axe_finds_nothing_and_nothing_is_too_wide(
    page: Page, run: Run, scheme: Literal["light", "dark"]
) -> None:
    await page.emulate_media(color_scheme=scheme)
    found: dict[str, Any] = {}
    for name in (*PAGES, "person of somebody", "blocks"):
        if name == "person of somebody":
            await _ask(page, run, FELL_BACK)
        else:
            await _open(page, run, name)
        for width in (1280, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not await page.evaluate(wide), (name, width)
        await page.set_viewport_size({"width": 1280, "height": 800})
        # By the debugger's protocol: the page itself may load nothing of the sort.
        await page.evaluate(_AXE.read_text(encoding="utf-8"))
        found[name] = await page.evaluate(_RUN_AXE)
    assert not any(found.values()), found
    await page.emulate_media(color_scheme="light")


async def test_the_sign_in_is_usable_and_says_what_is_wrong(browser: Browser, run: Run) -> None:
    async with watched(browser, f"{run.url}/dashboard/overview") as tab:
        await expect(tab.page.get_by_label("API key")).to_be_focused()
        await tab.page.evaluate(_AXE.read_text(encoding="utf-8"))
        assert await tab.page.evaluate(_RUN_AXE) == []
        await _sign_in(tab.page, run.own)
        await expect(tab.page.locator(".who")).to_have_text("default")
        await tab.page.get_by_role("button", name="Sign out").click()
        await expect(tab.page.get_by_label("API key")).to_be_focused()


async def test_without_its_script_every_page_works(browser: Browser, run: Run) -> None:
    async with watched(browser, f"{run.url}/dashboard", java_script_enabled=False) as tab:
        await tab.page.get_by_label("API key").fill(run.admin)
        await tab.page.get_by_role("button", name="Sign in").click()
        for name in PAGES:
            await tab.page.locator(f'nav a[href="/dashboard/{name}"]').click()
            await expect(tab.page.locator("h1")).to_be_visible()


async def test_what_a_person_leaves_is_no_number_in_the_store(run: Run, valkey: str) -> None:
    async with Redis.from_url(valkey) as redis:
        content = [key + (await redis.dump(key) or b"") async for key in redis.scan_iter()]
    assert not any(FELL_BACK[1:].encode() in one for one in content)
