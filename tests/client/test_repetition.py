"""What the client asks again by itself, and that a second message never comes of it."""

from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.client import Retries, UnreachableError
from tests.chaos.links import Mood, Wire, wired
from tests.client.forms import Form, address, form, key_of
from tests.harness import World

LOST = httpx.ReadTimeout("")
NO_CONNECTION = httpx.ConnectError("")


def cut_first(wire: Wire) -> Callable[[int], None]:
    def on_request(before: int) -> None:
        wire.mood = Mood.CUT if before == 0 else Mood.FINE

    return on_request


async def test_a_start_whose_answer_was_lost_sends_one_message(
    app: World, which: str, phone: str
) -> None:
    async with (
        wired(app.api.base_url.port or 0) as wire,
        form(which, f"http://127.0.0.1:{wire.port}", key_of(app), cut_first(wire)) as call,
    ):
        started = await call("start", phone)
        keys = {request.headers["idempotency-key"] for request in call.asked}

    assert started.status == "pending"
    assert (len(call.asked), len(keys)) == (2, 1)
    assert len(await app.messages(phone)) == 1


async def test_two_starts_have_two_keys_unless_the_caller_says_otherwise(
    app: World, call: Form, phone: str
) -> None:
    first, second = await call("start", phone), await call("start", phone)
    own = [await call("start", "+12025550124", idempotency_key="tap-1") for _ in range(2)]

    assert first.id != second.id
    assert own[0].id == own[1].id
    assert len(await app.messages("+12025550124")) == 1


async def test_a_verify_whose_answer_was_lost_is_told_and_not_repeated(
    app: World, which: str, phone: str
) -> None:
    started = await app.start(phone)
    (code,) = await app.codes(phone)
    async with (
        wired(app.api.base_url.port or 0) as wire,
        form(which, f"http://127.0.0.1:{wire.port}", key_of(app), cut_first(wire)) as call,
    ):
        with pytest.raises(UnreachableError) as lost:
            await call("verify", started["id"], code)
        found = await call("get", started["id"])

    assert lost.value.sent
    assert found.status == "approved"  # reading tells what became of it


@pytest.mark.slow
async def test_a_start_that_is_still_at_work_is_waited_for(app: World) -> None:
    """The sandbox answers this number's message after a minute, the service after five seconds, and the first
    try gives up before that."""
    slow, retries = "+12025550109", Retries(tries=9)
    async with form("blocking", address(app), key_of(app), timeout=0.7, retries=retries) as call:
        started = await call("start", slow)
    assert started.status == "pending"
    assert len(call.asked) > 1
    assert len(await app.messages(slow)) <= 1


def answer(status: int, retry_after: int | None = None, slug: str = "x") -> httpx.Response:
    headers = {"content-type": "application/problem+json"}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    body = {"type": f"/problems/{slug}", "title": "", "detail": ""}
    return httpx.Response(status, headers=headers, json=body)


@pytest.mark.parametrize(
    ("outcome", "repeatable", "other"),
    [
        (NO_CONNECTION, True, True),
        (LOST, True, False),
        (answer(429, 1), True, True),
        (answer(503, 1), True, False),
        (answer(502), True, False),
        (answer(409, 1, "idempotency-in-progress"), True, False),
        (answer(409, slug="verification-closed"), False, False),
        (answer(500), False, False),
        (answer(422), False, False),
        (answer(201), False, False),
    ],
    ids=str,
)
def test_only_what_is_safe_is_repeated(
    outcome: httpx.Response | httpx.RequestError, repeatable: bool, other: bool
) -> None:
    def again(can_be_repeated: bool) -> bool:
        wait = Retries().wait(outcome, 1, repeatable=can_be_repeated, jitter=0.5)
        return wait is not None

    assert (again(True), again(False)) == (repeatable, other)


@given(
    tries=st.integers(1, 6),
    tried=st.integers(1, 8),
    asked=st.none() | st.integers(0, 100),
    longest=st.floats(0, 60),
    jitter=st.floats(0, 1),
)
def test_a_wait_is_never_shorter_than_asked_nor_longer_than_allowed(
    tries: int, tried: int, asked: int | None, longest: float, jitter: float
) -> None:
    retries = Retries(tries=tries, longest=longest)
    wait = retries.wait(answer(503, asked), tried, repeatable=True, jitter=jitter)
    if wait is not None:
        assert tried < tries
        assert max(asked or 0, 0.1) <= wait <= longest
    elif tried < tries:
        assert max(asked or 0, 0.2 * 2 ** (tried - 1)) > longest
