"""The README's picture of the inbox; ``python -m tests.deploy.picture`` makes it anew."""

import asyncio
import secrets
import tempfile
from pathlib import Path

from playwright.async_api import Browser, expect

from service.cli import embedded
from tests.browser import chromium, watched
from tests.deploy.pages import DEPLOY
from tests.harness import World, world

PICTURE = DEPLOY / "guides" / "inbox.png"
WIDTH, HEIGHT = 900, 520
_PHONE = "+12025550100"
_OTHERS = ("+12025550123", "+447400123456")


async def take(browser: Browser, app: World) -> bytes:
    """A login on each of a few phones, where the first message to the open one failed; a PNG."""
    for phone in _OTHERS:
        await app.start(phone)
    started = await app.start(_PHONE)
    await app.until(started["id"], lambda v: v["deliveries"][-1]["status"] == "delivered")
    size = {"width": WIDTH, "height": HEIGHT}
    page = f"{app.phone.base_url}/#{_PHONE}"
    async with watched(browser, page, viewport=size, color_scheme="light") as inbox:
        arrived = inbox.page.locator("#thread .message[data-phase=arrived]")
        await expect(arrived.locator(".life")).to_contain_text("Delivered")
        await expect(inbox.page.locator("#phones a")).to_have_count(len(_OTHERS) + 1)
        return await inbox.page.screenshot(animations="disabled")


async def _make() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.start(Path(folder), password=secrets.token_hex(8)) as server,
    ):
        server.wait_ready()
        async with chromium() as browser, world(server.url) as app:
            PICTURE.write_bytes(await take(browser, app))


if __name__ == "__main__":
    asyncio.run(_make())
