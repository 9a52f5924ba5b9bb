"""The programs in deploy/examples, started by their READMEs' commands, against the service and a sandbox."""

import asyncio
import os
import re
import shlex
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Page, Route
from redis.asyncio import Redis

from service.clock import ManualClock
from tests.browser import chromium
from tests.client.forms import address, key_of
from tests.deploy.pages import DEPLOY, HOST, blocks
from tests.harness import World, client, eventually, free_port, world

EXAMPLES = DEPLOY / "examples"
ORIGIN = "https://shop.example"
# The last line, by the WICG's "origin-bound one-time codes": the host, and the code.
_BOUND = re.compile(r"@(?P<host>[^\s#]+) #(?P<code>[^\s#]+)")
# What a phone does for the page: it answers once a message has come that is for the page's host.
_PHONE = """
window.OTPCredential = class {};
const get = async ({ otp, signal }) => {
  window.transports = otp.transport;
  const code = await window.nextCode(location.hostname);
  if (signal.aborted) throw signal.reason;
  return { code };
};
Object.defineProperty(navigator, "credentials", { value: { get } });
"""

pytestmark = pytest.mark.deploy


class Person(Protocol):
    """What somebody does at a program, and what it says to them."""

    async def begin(self, number: str) -> str: ...
    async def enter(self, code: str) -> str: ...
    async def again(self) -> str: ...


@dataclass
class AtDjango:
    http: httpx.AsyncClient
    page: str = ""

    async def begin(self, number: str) -> str:
        self.page = (await self.http.get("/")).text
        return await self._post("/login", number=number, attempt=self._hidden("attempt"))

    async def enter(self, code: str) -> str:
        return await self._post("/login/code", code=code)

    async def again(self) -> str:
        return await self._post("/login/again")

    async def _post(self, path: str, **form: str) -> str:
        form["csrfmiddlewaretoken"] = self._hidden("csrfmiddlewaretoken")
        answer = await self.http.post(path, data=form, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        self.page = answer.text
        found = re.search(r'role="status">(.*?)</p>', self.page)
        assert found is not None
        return found[1]

    def _hidden(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]+)"', self.page)
        assert found is not None, self.page
        return found[1]


@dataclass
class AtFastApi:
    http: httpx.AsyncClient

    async def begin(self, number: str) -> str:
        return await self._post("/login", number=number, attempt=str(uuid.uuid4()))

    async def enter(self, code: str) -> str:
        return await self._post("/login/code", code=code)

    async def again(self) -> str:
        return await self._post("/login/again")

    async def _post(self, path: str, **body: str) -> str:
        answer = await self.http.post(path, json=body)
        for cookie in self.http.cookies.jar:
            cookie.secure = False  # no server with a certificate stands in front here
        return str(answer.json()["said"])


@dataclass
class AtAndroid:
    http: httpx.AsyncClient
    device: str = field(default_factory=lambda: str(uuid.uuid4()))
    verification: str = ""

    async def begin(self, number: str) -> str:
        return await self._post(
            "/phone", number=number, device=self.device, attempt=str(uuid.uuid4())
        )

    async def enter(self, code: str) -> str:
        return await self._post(f"/phone/{self.verification}/code", code=code)

    async def again(self) -> str:
        return await self._post(f"/phone/{self.verification}/again")

    async def _post(self, path: str, **body: str) -> str:
        answer = (await self.http.post(path, json=body)).json()
        self.verification = answer.get("verification", self.verification)
        return str(answer.get("error") or next(iter(answer)))


AT: dict[str, Callable[[httpx.AsyncClient], Person]] = {
    "django": AtDjango,
    "fastapi": AtFastApi,
    "android": AtAndroid,
}
_WORDS = {
    "sent": "A code is on its way.",
    "sent again": "Another code is on its way.",
    "logged in": "You are logged in.",
    "wrong": "That was not the code.",
    "bad number": "This is no phone number that we can text.",
    "opted out": "This number asked for no more texts. Text START to us to get them again.",
    "wait": "Please wait ",
    "ended": "This code is no longer valid. Please ask for a new one.",
}
SAID = {
    "django": _WORDS,
    "fastapi": _WORDS,
    "android": {
        "sent": "verification",
        "sent again": "verification",
        "logged in": "token",
        "wrong": "wrong_code",
        "bad number": "bad_number",
        "opted out": "opted_out",
        "wait": "wait",
        "ended": "ended",
    },
}


@dataclass(frozen=True, slots=True)
class Town:
    """The service, and every program's address."""

    app: World
    programs: dict[str, str]
    clock: ManualClock


@pytest.fixture(scope="module")
async def town(valkey: str) -> AsyncIterator[Town]:
    async with Redis.from_url(valkey) as redis:
        await redis.flushall()
    clock = ManualClock(time.time_ns() // 1_000_000)  # the sandbox signs with real time
    async with AsyncExitStack() as stack:
        limits = {"recipient": ["3/600"], "client_ip": ["999/600"], "keys": {"device": ["3/600"]}}
        app = await stack.enter_async_context(world(valkey, clock=clock, limits=limits))
        running = [stack.enter_async_context(program(name, app)) for name in AT]
        urls = await asyncio.gather(*running)
        yield Town(app, dict(zip(AT, urls, strict=True)), clock)


@asynccontextmanager
async def program(name: str, app: World) -> AsyncIterator[str]:
    """Started by the first command of its README, on a port that is free."""
    (line, *_) = (block.text for block in blocks(EXAMPLES / name / "README.md", HOST))
    port = free_port()
    module, *rest = shlex.split(re.sub(r"\b80\d\d\b", str(port), line))
    command = [module, *rest] if module == "python" else ["python", "-m", module, *rest]
    environment = {
        "COUNTERSIGN_URL": address(app),
        "COUNTERSIGN_API_KEY": key_of(app),
        "ORIGIN": ORIGIN,
        "PYTHONPATH": str(DEPLOY.parent),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command[1:],
        *(["--noreload"] if name == "django" else []),
        cwd=EXAMPLES / name,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    async def answers() -> bool:
        assert process.returncode is None, f"{name} ended at once"
        try:
            async with client(url) as http:
                return (await http.get("/")).status_code < 500
        except httpx.TransportError:
            return False

    try:
        await eventually(answers, 60)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.fixture(params=AT)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def person(name: str, town: Town) -> AsyncIterator[Person]:
    async with client(town.programs[name]) as http:
        yield AT[name](http)


@pytest.fixture
def said(name: str) -> dict[str, str]:
    return SAID[name]


_AREAS = iter(range(2000, 9000))


@pytest.fixture
def number() -> str:
    return f"+1212555{next(_AREAS)}"


async def test_a_wrong_code_and_then_the_right_one(
    town: Town, person: Person, said: dict[str, str], number: str
) -> None:
    assert await person.begin(number) == said["sent"]
    (code,) = await town.app.codes(number)
    assert await person.enter("000000" if code != "000000" else "000001") == said["wrong"]
    assert await person.enter("my code") == said["wrong"]
    assert await person.enter(code) == said["logged in"]


async def test_a_resend(town: Town, person: Person, said: dict[str, str], number: str) -> None:
    assert await person.begin(number) == said["sent"]
    assert (await person.again()).startswith(said["wait"])
    town.clock.move(31_000)
    assert await person.again() == said["sent again"]
    first, *_ = await town.app.codes(number, 2)
    assert await person.enter(first) == said["logged in"]


async def test_somebody_who_asked_for_no_more_texts(
    town: Town, person: Person, said: dict[str, str], number: str
) -> None:
    await town.app.api.put(f"/v1/opt-outs/{number}")
    assert await person.begin(number) == said["opted out"]
    assert await town.app.messages(number) == []


async def test_a_used_up_limit(
    town: Town, person: Person, said: dict[str, str], number: str
) -> None:
    for _ in range(3):
        assert await person.begin(number) == said["sent"]
        if isinstance(person, AtDjango):
            person.http.cookies.clear()
    assert (await person.begin(number)).startswith(said["wait"])
    assert len(await town.app.messages(number)) == 3


async def test_a_wrong_number_and_too_many_wrong_codes(
    town: Town, person: Person, said: dict[str, str], number: str
) -> None:
    assert await person.begin("12") == said["bad number"]
    assert await person.begin(number) == said["sent"]
    (code,) = await town.app.codes(number)
    for _ in range(5):
        assert await person.enter("000000" if code != "000000" else "000001") == said["wrong"]
    assert await person.enter(code) == said["ended"]


async def test_a_tap_on_a_bad_network_sends_one_message(town: Town, number: str) -> None:
    """And the message is the one that the SMS Retriever hands to the app."""
    async with client(town.programs["android"]) as http:
        body = {"number": number, "device": "a1", "attempt": str(uuid.uuid4())}
        first, second = [(await http.post("/phone", json=body)).json() for _ in range(2)]
    assert first["verification"] == second["verification"]
    assert first["resend_in"] >= 0
    (message,) = await town.app.messages(number)
    assert message["text"].splitlines()[-1] == "FA+9qCX9VSu"
    assert len(message["text"].encode()) <= 140


@asynccontextmanager
async def page_of(
    town: Town, next_code: Callable[[str], Awaitable[str]] | None
) -> AsyncIterator[Page]:
    """The page at its https origin, in a browser that has a phone's answer or none."""

    async def to_program(route: Route) -> None:
        asked = urlsplit(route.request.url)
        answer = await route.fetch(url=town.programs["fastapi"] + asked.path)
        await route.fulfill(response=answer)

    async with chromium() as browser:
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        if next_code is not None:
            await page.expose_function("nextCode", next_code)
            await page.add_init_script(_PHONE)
        await page.route(f"{ORIGIN}/**", to_program)
        await page.goto(ORIGIN)
        yield page


async def test_the_page_fills_the_code_in_by_itself(town: Town, number: str) -> None:
    hosts = []

    async def next_code(host: str) -> str:
        hosts.append(host)

        async def arrived() -> str:
            texts = [m["text"] for m in await town.app.messages(number) if m["arrived"]]
            bound = _BOUND.fullmatch(texts[-1].splitlines()[-1]) if texts else None
            return bound["code"] if bound is not None and bound["host"] == host else ""

        return await eventually(arrived)

    async with page_of(town, next_code) as page:
        await page.fill("input[name=number]", number)
        await page.click("text=Send a code")
        await page.wait_for_function(
            "document.querySelector('[role=status]').textContent === 'You are logged in.'"
        )
        assert await page.evaluate("window.transports") == ["sms"]
        assert await page.evaluate("fetch('/me').then((a) => a.json())") == {"logged_in": True}
    assert hosts == ["shop.example"]


async def test_the_page_takes_a_typed_code_where_no_phone_tells_it(town: Town, number: str) -> None:
    async with page_of(town, None) as page:
        await page.fill("input[name=number]", number)
        await page.click("text=Send a code")
        field = page.locator("input[name=code]")
        await field.wait_for(state="visible")
        assert await field.get_attribute("autocomplete") == "one-time-code"
        assert await field.get_attribute("inputmode") == "numeric"
        (code,) = await town.app.codes(number)
        await field.fill("000000" if code != "000000" else "000001")
        await page.click("#code >> text=Log in")
        await page.wait_for_selector("text=That was not the code.")
        await field.fill(code)
        await page.click("#code >> text=Log in")
        await page.wait_for_selector("text=You are logged in.")
