"""The client of the account against the sandbox, and each of its requests against Telnyx's document."""

import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.domain.plan import Sender, SenderKind, Template
from service.telnyx import autoresponses, outgoing
from service.telnyx.account import TRIES, TelnyxAccount
from service.telnyx.autoresponses import Action, Wanted
from service.telnyx.client import TelnyxClient
from service.telnyx.failures import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NoIdError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitedError,
    ServerError,
    TelnyxCallError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnprocessableError,
    UnreachableError,
)
from service.telnyx.http import TelnyxConfig
from service.telnyx.outgoing import AutoresponseBody
from service.telnyx.resources import Autoresponse
from tests import telnyx_contract as contract
from tests.harness import free_port, serving
from tests.sandbox.conftest import API_KEY, BRAND, LONG, PROFILE, SHORT, Sandbox, running
from tests.telnyx.counting import Counting

TO = "+12025550123"
TEXT = "Your number was changed."
_GROUP = outgoing.GroupMms.path
_TEMPLATE = {"name": "code", "language": {"code": "en_US"}, "components": []}


class Pauses:
    """A clock on which nobody waits; it remembers for how long they would have."""

    def __init__(self) -> None:
        self.slept: list[int] = []

    def now(self) -> int:
        return 1_800_000_000_000

    async def sleep(self, milliseconds: int) -> None:
        self.slept.append(milliseconds)


def _judged(http: httpx.AsyncClient) -> set[tuple[str, str]]:
    """From now on each request must be one that Telnyx's document allows; gives the operations that
    were asked for."""
    asked = set()

    async def judge(request: httpx.Request) -> None:
        path = request.url.raw_path.decode()
        body = json.loads(request.content) if request.content else None
        contract.validate_request(request.method, path, body)
        asked.add((request.method, contract.template(request.method, path)))
        if body is not None:
            assert request.headers["content-type"] == "application/json"

    if contract.VARIABLE in os.environ:
        http.event_hooks["request"].append(judge)
    return asked


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as found:
        yield found


@pytest.fixture
async def account(sandbox: Sandbox) -> AsyncIterator[TelnyxAccount]:
    found = _account(str(sandbox.api.base_url))
    _judged(found._http)
    yield found
    await found.close()


def _account(url: str, key: str = API_KEY, clock: Pauses | None = None) -> TelnyxAccount:
    config = TelnyxConfig(base_url=f"{url.rstrip('/')}/v2", api_key=key)
    return TelnyxAccount(config, clock or Pauses())


async def _listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


_FORMS = [
    outgoing.Generic(from_=LONG, to=TO, text=TEXT, encoding="gsm7", webhook_url="http://127.0.0.1:1/"),
    outgoing.Generic(messaging_profile_id=PROFILE, to=TO, text=TEXT),
    outgoing.LongCode(from_=LONG, to=TO, text=TEXT, auto_detect=True),
    outgoing.ShortCode(from_=SHORT, to=TO, text=TEXT),
    outgoing.NumberPool(messaging_profile_id=PROFILE, to=TO, text=TEXT),
    outgoing.Alphanumeric(from_=BRAND, to="+447700900123", text=TEXT, messaging_profile_id=PROFILE),
    outgoing.GroupMms(from_=LONG, to=[TO, "+12025550124"], text=TEXT),
    outgoing.WhatsApp(
        from_=LONG, to=TO, whatsapp_message={"type": "template", "template": _TEMPLATE}
    ),
]  # fmt: skip


@pytest.mark.parametrize("message", _FORMS, ids=lambda message: type(message).__name__)
async def test_each_form_of_message_is_sent(
    account: TelnyxAccount, message: outgoing.Outgoing
) -> None:
    sent = await account.send(message)
    assert sent.id
    assert sent.direction == "outbound"


async def test_a_message_is_read_back(account: TelnyxAccount) -> None:
    sent = await account.send(outgoing.LongCode(from_=LONG, to=TO, text=TEXT))
    found = await account.retrieve_message(sent.id)
    assert (found.id, found.to[0].phone_number) == (sent.id, TO)
    assert found.from_ is not None
    assert found.from_.phone_number == LONG


async def test_a_group_is_read_back(account: TelnyxAccount) -> None:
    members = [TO, "+12025550124"]
    sent = await account.send(outgoing.GroupMms(from_=LONG, to=members, text=TEXT))
    found = await account.retrieve_group(sent.id)
    assert sorted(str(m.to[0].phone_number) for m in found) == members


async def test_a_scheduled_message_is_canceled_once(account: TelnyxAccount) -> None:
    held = await account.send(outgoing.Scheduled(from_=LONG, to=TO, text=TEXT, send_at=_soon()))
    assert (await account.cancel_scheduled(held.id)).status == "cancelled"
    with pytest.raises((ForbiddenError, NotFoundError)) as caught:
        await account.cancel_scheduled(held.id)
    assert caught.value.errors[0].code


async def test_sender_ids_come_and_go(account: TelnyxAccount) -> None:
    made = await account.create_sender_id("Shop", PROFILE, us_long_code_fallback=LONG)
    assert (await account.get_sender_id(made.id)).alphanumeric_sender_id == "Shop"
    for listing in (
        account.list_sender_ids(),
        account.list_sender_ids(messaging_profile_id=PROFILE),
        account.list_sender_ids_of_profile(PROFILE),
    ):
        assert made.id in [found.id for found in await _listed(listing)]
    await account.delete_sender_id(made.id)
    with pytest.raises(NotFoundError):
        await account.get_sender_id(made.id)


async def test_numbers_are_listed_and_changed(account: TelnyxAccount) -> None:
    numbers = await _listed(account.list_numbers(sort="asc"))
    assert [n.phone_number for n in numbers] == sorted(n.phone_number for n in numbers)
    one = numbers[0].phone_number
    assert [n.phone_number for n in await _listed(account.list_numbers(phone_number=one))] == [one]
    changed = await account.update_number(one, tags=["codes"])
    assert changed.tags == ["codes"]
    assert changed.messaging_profile_id == numbers[0].messaging_profile_id
    assert (await account.get_number(one)).tags == ["codes"]


async def test_every_page_is_read(sandbox: Sandbox, account: TelnyxAccount) -> None:
    await sandbox.phone.post("/sandbox/opt-outs", json={"count": 600})
    listed = await _listed(account.all_opt_outs(messaging_profile_id=PROFILE))
    assert len({item.to for item in listed}) == len(listed) >= 600
    page = await account.list_opt_outs(page_number=2, page_size=250)
    assert (len(page.items), page.number) == (250, 2)
    assert page.total_pages >= 3
    assert page.items[0].created_at is not None
    assert page.items[0].created_at.tzinfo is not None
    before = datetime.now(UTC) + timedelta(minutes=1)
    bounded = await account.list_opt_outs(created_after=before, created_before=before)
    assert bounded.items == []


async def test_figures_of_profiles(account: TelnyxAccount) -> None:
    await account.send(outgoing.LongCode(from_=LONG, to=TO, text=TEXT))
    assert await account.list_metrics("1h")
    assert (await account.get_metrics(PROFILE, "7d")).as_it_came()


async def test_a_profiles_secret_is_replaced_and_never_shown_by_accident(
    account: TelnyxAccount,
) -> None:
    (profile, *_) = await _listed(account.list_profiles())
    assert (await account.get_profile(profile.id)).webhook_api_version == "2"
    first, second = [await account.regenerate_secret(profile.id) for _ in range(2)]
    assert first.v1_secret != second.v1_secret
    assert second.v1_secret is not None
    secret = second.v1_secret.get_secret_value()
    assert secret not in f"{second!r} {second.as_it_came()}"
    assert await account.get_profile(profile.id) == second


async def test_neither_the_key_nor_a_new_secret_is_logged(
    account: TelnyxAccount, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        renewed = await account.regenerate_secret(PROFILE)
        with pytest.raises(NotFoundError):
            await account.regenerate_secret("00000000-0000-4000-8000-00000000ffff")
    assert renewed.v1_secret is not None
    assert "HTTP Request" in caplog.text
    assert API_KEY not in caplog.text
    assert renewed.v1_secret.get_secret_value() not in caplog.text


async def test_a_number_is_looked_up(account: TelnyxAccount) -> None:
    found = await account.lookup(TO)
    assert found.phone_number == TO
    assert found.carrier is not None
    assert found.carrier.type == "mobile"


async def test_auto_responses_come_change_and_go(account: TelnyxAccount) -> None:
    body = AutoresponseBody(op="info", keywords=("INFOS",), resp_text="Acme sends you codes only.")
    made = await account.create_autoresponse(PROFILE, body)
    changed = await account.update_autoresponse(
        PROFILE, made.id, body.model_copy(update={"keywords": ("INFOS", "AIDE")})
    )
    assert changed.keywords == ["INFOS", "AIDE"]
    assert (await account.get_autoresponse(PROFILE, made.id)).keywords == ["INFOS", "AIDE"]
    assert made.id in [one.id for one in await account.list_autoresponses(PROFILE)]
    await account.delete_autoresponse(PROFILE, made.id)
    assert made.id not in [one.id for one in await account.list_autoresponses(PROFILE)]


def _present(id_: str, *keywords: str, op: str = "info", text: str | None = None) -> Autoresponse:
    return Autoresponse(id=id_, op=op, keywords=[*keywords], country_code="*", resp_text=text)


@pytest.mark.parametrize(
    ("prune", "expected"),
    [
        (False, {("same", "1"), ("update", "2"), ("create", None), ("foreign", "3"), ("foreign", "4")}),
        (True, {("same", "1"), ("update", "2"), ("update", "3"), ("delete", "4")}),
    ],
)  # fmt: skip
def test_only_what_shares_a_word_is_changed(
    prune: bool, expected: set[tuple[str, str | None]]
) -> None:
    def want(*keywords: str, text: str | None = None) -> Wanted:
        return Wanted(messaging_profile_id="p", op="info", keywords=keywords, resp_text=text)

    wanted = [want("hours", text="Open from nine to five."), want("HELP", "AIDE"), want("PREISE")]
    present = [
        _present("3", "MADE", "BY", "HAND"),
        _present("2", "Help"),
        _present("1", "HOURS", text="Open from nine to five."),
        _present("4", "PREISE", op="stop"),
    ]
    changes = autoresponses.compare("p", wanted, present, prune=prune)
    assert {(c.action.value, c.present and c.present.id) for c in changes} == expected


async def test_configured_auto_responses_are_made_so_and_then_stay(
    account: TelnyxAccount,
) -> None:
    foreign = await account.create_autoresponse(
        PROFILE, AutoresponseBody(op="start", keywords=("JOIN",), country_code="CA")
    )
    stop = Wanted(messaging_profile_id=PROFILE, op="stop", keywords=("STOPP", "ARRET"))
    wanted = [stop, stop.model_copy(update={"op": "info", "keywords": ("HILFE",)})]

    async def actions(*, prune: bool = False) -> list[Action]:
        changes = await autoresponses.plan(account, wanted, prune=prune)
        await autoresponses.apply(account, changes)
        return [change.action for change in changes]

    assert await actions() == [Action.CREATE, Action.CREATE, Action.FOREIGN]
    assert await actions() == [Action.SAME, Action.SAME, Action.FOREIGN]
    wanted[0] = stop.model_copy(update={"keywords": ("STOPP",)})
    assert await actions() == [Action.UPDATE, Action.SAME, Action.FOREIGN]
    assert await actions(prune=True) == [Action.SAME, Action.SAME, Action.DELETE]
    listed = await account.list_autoresponses(PROFILE)
    assert foreign.id not in [one.id for one in listed]
    assert sorted(tuple(one.keywords) for one in listed) == [("HILFE",), ("STOPP",)]


@contract.needs_spec
async def test_every_operation_of_the_document_can_be_asked_for(sandbox: Sandbox) -> None:
    account = _account(str(sandbox.api.base_url))
    asked = _judged(account._http)
    body = AutoresponseBody(op="info", keywords=("PREISE",), resp_text="Acme sends codes only.")
    held = outgoing.Scheduled(from_=LONG, to=TO, text=TEXT, send_at=_soon())
    try:
        ids = [(await account.send(message)).id for message in [*_FORMS, held]]
        await account.retrieve_message(ids[0])
        await account.retrieve_group(ids[_FORMS.index(next(f for f in _FORMS if f.path == _GROUP))])
        await account.cancel_scheduled(ids[-1])
        sender = await account.create_sender_id("Every", PROFILE)
        await account.get_sender_id(sender.id)
        await account.delete_sender_id(sender.id)
        number = (await _listed(account.list_numbers(contains="555")))[0]
        await account.get_number(number.id)
        await account.update_number(
            number.id, messaging_profile_id=PROFILE, messaging_product="A2P"
        )
        await account.list_opt_outs(from_=LONG, created_after=_soon(), created_before=_soon())
        await account.list_metrics()
        await account.get_metrics(PROFILE)
        await account.get_profile(PROFILE)
        await account.regenerate_secret(PROFILE)
        made = await account.create_autoresponse(PROFILE, body)
        await account.get_autoresponse(PROFILE, made.id)
        await account.update_autoresponse(PROFILE, made.id, body)
        await account.list_autoresponses(PROFILE, country_code="US")
        await account.delete_autoresponse(PROFILE, made.id)
        await account.lookup(TO)
        for listing in (
            account.list_sender_ids(messaging_profile_id=PROFILE),
            account.list_sender_ids_of_profile(PROFILE),
            account.list_profiles(name="Sand"),
        ):
            assert await _listed(listing) is not None
    finally:
        await account.close()
    assert contract.operations() - asked == set()


_SENDERS = [
    Sender(name="long", kind=SenderKind.LONG_CODE, from_=LONG),
    Sender(name="profiled", kind=SenderKind.LONG_CODE, from_=LONG, messaging_profile_id=PROFILE),
    Sender(name="short", kind=SenderKind.SHORT_CODE, from_=SHORT),
    Sender(name="pool", kind=SenderKind.NUMBER_POOL, messaging_profile_id=PROFILE),
    Sender(name="brand", kind=SenderKind.ALPHANUMERIC, from_=BRAND, messaging_profile_id=PROFILE),
    Sender(
        name="chat",
        kind=SenderKind.WHATSAPP,
        from_=LONG,
        template=Template(name="code", language="en_US"),
    ),
    Sender(name="by id", kind=SenderKind.WHATSAPP, from_=LONG, template=Template(id="019cd44b")),
]


@contract.needs_spec
@pytest.mark.parametrize(
    ("sender", "held"),
    [
        pytest.param(sender, held, id=f"{sender.name}-{'held' if held else 'now'}")
        for sender in _SENDERS
        for held in (False, True)
        if sender.kind.is_sms or not held  # a notice never goes through WhatsApp
    ],
)
async def test_what_sends_codes_and_notices_asks_only_what_the_document_allows(
    sandbox: Sandbox, sender: Sender, held: bool
) -> None:
    client = TelnyxClient(
        TelnyxConfig(base_url=f"{str(sandbox.api.base_url).rstrip('/')}/v2", api_key=API_KEY)
    )
    _judged(client._http)
    to = "+447700900123" if sender.kind is SenderKind.ALPHANUMERIC else TO
    send_at = int(_soon().timestamp() * 1000) if held else None
    try:
        outcome = await client.send(
            sender,
            to=to,
            text="123456",
            webhook_url="http://127.0.0.1:1/ref",
            now=Pauses().now,
            send_at=send_at,
        )
        message_id = getattr(outcome, "message_id", None)
        assert message_id, outcome
        await client.retrieve(message_id, now=0)
        await client.cancel(message_id)
    finally:
        await client.close()


_ERROR = {
    "code": "10015",
    "title": "Bad Request",
    "detail": "The value is wrong.",
    "source": {"pointer": "/to"},
}


async def _failure(
    telnyx: Counting, act: Callable[[TelnyxAccount], Awaitable[object]], clock: Pauses
) -> TelnyxCallError:
    port = free_port()
    async with serving(telnyx.app(), port):
        account = _account(f"http://127.0.0.1:{port}", clock=clock)
        try:
            with pytest.raises(TelnyxCallError) as caught:
                await act(account)
        finally:
            await account.close()
    return caught.value


def _get(account: TelnyxAccount) -> Awaitable[object]:
    return account.retrieve_message("m")


def _post(account: TelnyxAccount) -> Awaitable[object]:
    return account.send(outgoing.LongCode(from_=LONG, to=TO, text=TEXT))


@pytest.mark.parametrize("bare", [False, True], ids=["listed", "bare"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, UnauthorizedError),
        (402, PaymentRequiredError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, UnprocessableError),
    ],
)
async def test_each_refusal_is_an_exception_of_its_own(
    status: int, kind: type[TelnyxCallError], bare: bool
) -> None:
    telnyx, clock = Counting(status, _ERROR if bare else {"errors": [_ERROR]}), Pauses()
    failure = await _failure(telnyx, _get, clock)
    assert type(failure) is kind
    (error,) = failure.errors
    assert (error.code, error.title, error.detail, error.pointer) == (
        "10015", "Bad Request", "The value is wrong.", "/to",
    )  # fmt: skip
    assert str(status) in str(failure)
    assert kind.advice in str(failure)
    assert (telnyx.asked, clock.slept) == (1, [])


async def test_what_a_code_asks_for_comes_before_what_its_status_does() -> None:
    error = {"code": "20100", "title": "Insufficient funds"}
    failure = await _failure(Counting(403, {"errors": [error]}), _get, Pauses())
    assert "Add funds" in str(failure)


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry_after": "7"}, 7_000),
        ({"x_ratelimit_reset": "3"}, 3_000),
        ({"x_ratelimit_reset": str(1_800_000_000 + 5)}, 5_000),
        ({"retry_after": "Fri, 15 Jan 2027 08:00:09 GMT"}, 9_000),
    ],
)
async def test_a_read_waits_as_long_as_a_429_says(headers: dict[str, str], pause: int) -> None:
    telnyx, clock = (
        Counting(429, {"errors": [{"code": "10011", "title": "t"}]}, **headers),
        Pauses(),
    )
    failure = await _failure(telnyx, _get, clock)
    assert isinstance(failure, RateLimitedError)
    assert telnyx.asked == TRIES
    assert clock.slept == [pause] * (TRIES - 1)
    assert f"wait for {pause // 1000} s" in str(failure)


async def test_a_read_does_not_wait_for_hours() -> None:
    telnyx, clock = Counting(429, retry_after="86400"), Pauses()
    failure = await _failure(telnyx, _get, clock)
    assert (telnyx.asked, clock.slept, failure.retry_after) == (1, [], 86_400_000)
    assert "wait for 86400 s" in str(failure)


async def test_an_outage_that_says_how_long_is_waited_for() -> None:
    telnyx, clock = Counting(503, retry_after="2"), Pauses()
    assert isinstance(await _failure(telnyx, _get, clock), ServerError)
    assert clock.slept == [2_000] * (TRIES - 1)


async def test_a_read_is_tried_again_with_growing_pauses() -> None:
    telnyx, clock = Counting(503), Pauses()
    assert isinstance(await _failure(telnyx, _get, clock), ServerError)
    assert telnyx.asked == TRIES
    assert [400 * 2**n <= slept * 1.7 <= 1_300 * 2**n for n, slept in enumerate(clock.slept)] == (
        [True] * (TRIES - 1)
    )


@pytest.mark.parametrize(
    ("status", "maybe_done"), [(408, True), (429, False), (500, True), (503, True), (200, True)]
)
async def test_what_sends_is_never_asked_for_twice(status: int, maybe_done: bool) -> None:
    telnyx, clock = Counting(status), Pauses()
    failure = await _failure(telnyx, _post, clock)
    assert (telnyx.asked, clock.slept) == (1, [])
    assert failure.maybe_done is maybe_done
    assert ("look before you repeat it" in str(failure)) is maybe_done


async def test_nobody_there_is_said_so() -> None:
    account = _account(f"http://127.0.0.1:{free_port()}", clock=Pauses())
    for act in (_get, _post):
        with pytest.raises(UnreachableError, match="did not answer") as caught:
            await act(account)
        assert not caught.value.maybe_done
    await account.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, [1, 2]), (200, {}), (200, {"data": None}), (200, {"data": [1]}), (302, None)],
)
async def test_an_answer_that_is_none_of_telnyx_s_is_no_empty_list(
    status: int, body: object
) -> None:
    def read(account: TelnyxAccount) -> Awaitable[object]:
        return account.list_opt_outs()

    for act in (read, _get):
        failure = await _failure(Counting(status, body), act, Pauses())
        assert type(failure) is UnexpectedAnswerError
        assert "telnyx_base_url" in str(failure)


async def test_an_empty_id_names_nothing() -> None:
    account = _account(f"http://127.0.0.1:{free_port()}", clock=Pauses())
    for act in (
        account.delete_sender_id(""),
        account.cancel_scheduled(".."),
        account.delete_autoresponse(PROFILE, "."),
    ):
        with pytest.raises(NoIdError, match="not asked"):
            await act
    await account.close()


async def test_opt_outs_are_read_as_they_are_written() -> None:
    row = {"from": LONG, "to": TO, "keyword": None, "created_at": "2025-04-28 12:00:38.631252"}
    port = free_port()
    async with serving(Counting(200, {"data": [row | {"new": 1}], "meta": None}).app(), port):
        account = _account(f"http://127.0.0.1:{port}")
        page = await account.list_opt_outs(page_size=1)
        await account.close()
    (item,) = page.items
    assert item.created_at == datetime(2025, 4, 28, 12, 0, 38, 631252, UTC)
    assert item.as_it_came()["new"] == 1
    assert page.total_pages == 2  # without a count, a full page may not be the last
