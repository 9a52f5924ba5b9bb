"""A Chromium that is installed on the machine, and a page that is watched while it is used."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE = 5_000.0  # milliseconds

# Colours are painted and read back: that understands every form in which CSS gives them.
_CONTRAST = """
(selectors) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  // Each backdrop is painted over those behind it.
  const behind = (node) => {
    const chain = [];
    for (let one = node; one; one = one.parentElement) {
      chain.unshift(getComputedStyle(one).backgroundColor);
    }
    canvas.clearRect(0, 0, 1, 1);
    return chain.map(paint).at(-1);
  };
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = {};
  for (const selector of selectors) {
    const node = [...document.querySelectorAll(selector)].find((one) => one.checkVisibility());
    if (!node) { found[selector] = null; continue; }
    const back = luminance(behind(node));
    const front = luminance(paint(getComputedStyle(node).color));
    found[selector] = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  }
  return found;
}
"""

_NAMELESS = """
() => [...document.querySelectorAll(
    "button, a, input, select, textarea, summary, dialog, [tabindex='0']")]
  .filter((node) => {
    const by = (node.getAttribute("aria-labelledby") ?? "").split(" ");
    const named = [...by.map((id) => document.getElementById(id)), ...(node.labels ?? [])];
    if (node.matches("button, a, summary")) named.push(node);
    const words = [node.getAttribute("aria-label"), ...named.map((one) => one?.textContent)];
    return !words.some((one) => one?.trim());
  }).map((node) => node.outerHTML.slice(0, 120))
"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"no browser to test the page in: none of {', '.join(_NAMES)} is installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


# No slots: playwright notes on the object that a method of it listens.
@dataclass
class Watched:
    """A page, what it complained of, and which hosts it asked."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_PATIENCE)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    async def contrasts(self, *selectors: str) -> dict[str, float]:
        """WCAG 2.2 contrast of the first visible match of each selector, text against backdrop."""
        found: dict[str, float | None] = await self.page.evaluate(_CONTRAST, list(selectors))
        absent = [selector for selector, ratio in found.items() if ratio is None]
        assert not absent, f"not to be seen: {absent}"
        return {selector: ratio for selector, ratio in found.items() if ratio is not None}

    async def nameless(self) -> list[str]:
        """Controls without an accessible name."""
        return list(await self.page.evaluate(_NAMELESS))

    async def overflows(self) -> bool:
        """Whether the page can be scrolled sideways."""
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(await self.page.evaluate(wide))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(re.sub(r"\s+", " ", message.text))

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"}:
            self.hosts.add(parts.netloc)


@asynccontextmanager
async def watched(browser: Browser, url: str, **options: Any) -> AsyncIterator[Watched]:
    """A page of its own context; afterwards it must have complained of nothing and asked nobody
    but its own host."""
    context = await browser.new_context(**options)
    try:
        found = Watched(await context.new_page())
        await found.page.goto(url)
        yield found
        assert found.complaints == []
        assert found.hosts == {urlsplit(url).netloc}
    finally:
        await context.close()
