"""Telnyx's official SDK, pointed at the sandbox: all that sends, and what is read of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import telnyx
from telnyx import AsyncTelnyx

from tests.sandbox.conftest import BRAND, LONG, PROFILE, SHORT, Sandbox, sdk_of

pytestmark = pytest.mark.anyio

TO, OTHER, FRENCH = "+12025550001", "+12025550002", "+33612345678"
TEXT = "123456 is your code"
TEMPLATE: Any = {
    "type": "template",
    "template": {
        "name": "login_code",
        "language": {"code": "en_US"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "654321"}]},
            {
                "type": "button",
                "sub_type": "url",
                "index": 0,
                "parameters": [{"type": "text", "text": "654321"}],
            },
        ],
    },
}


@pytest.fixture
async def sdk(shared: Sandbox) -> AsyncIterator[AsyncTelnyx]:
    async with sdk_of(shared) as client:
        yield client


def in_minutes(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


async def test_send(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    sent = (await sdk.messages.send(to=TO, from_=LONG, text=TEXT)).data
    assert sent is not None
    assert sent.id is not None
    assert sent.to is not None
    assert (sent.to[0].phone_number, sent.to[0].status) == (TO, "queued")
    assert sent.from_ is not None
    assert (sent.from_.phone_number, sent.encoding, sent.parts) == (LONG, "GSM-7", 1)
    await shared.hooks.of(sent.id, 2)
    read = (await sdk.messages.retrieve(sent.id)).data
    assert read is not None
    assert read.direction == "outbound"
    assert [to.status for to in read.to or []] == ["delivered"]


async def test_send_by_each_kind(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    messages = sdk.messages
    await messages.send_long_code(from_=LONG, to=FRENCH, text=TEXT, encoding="gsm7")
    await messages.send_short_code(from_=SHORT, to=FRENCH, text=TEXT)
    await messages.send_number_pool(messaging_profile_id=PROFILE, to=FRENCH, text=TEXT)
    await messages.send_with_alphanumeric_sender(
        from_=BRAND, to=FRENCH, text=TEXT, messaging_profile_id=PROFILE
    )
    kinds = ["long_code", "short_code", "number_pool", "alphanumeric"]
    assert [m["kind"] for m in await shared.listed(to=FRENCH)] == kinds


async def test_send_mms(sdk: AsyncTelnyx) -> None:
    urls = ["https://example.com/a.png"]
    sent = (await sdk.messages.send(to=TO, from_=LONG, media_urls=urls, subject="Hi")).data
    assert sent is not None
    assert (sent.type, sent.subject) == ("MMS", "Hi")
    assert [media.url for media in sent.media or []] == urls


async def test_a_group_and_its_messages(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    sent = (await sdk.messages.send_group_mms(from_=LONG, to=[TO, OTHER], text="Hello")).data
    assert sent is not None
    assert sent.id is not None
    assert [to.phone_number for to in sent.to or []] == [TO, OTHER]
    events = await shared.hooks.of(sent.id, 4)
    kinds = sorted(event["data"]["event_type"] for event in events)
    assert kinds == ["message.finalized"] * 2 + ["message.sent"] * 2
    each = (await sdk.messages.retrieve_group_messages(sent.id)).data or []
    assert [[to.phone_number for to in one.to or []] for one in each] == [[TO], [OTHER]]
    assert [[cc.phone_number for cc in one.cc or []] for one in each] == [[OTHER], [TO]]
    whole = (await sdk.messages.retrieve(sent.id)).data
    assert whole is not None
    assert whole.direction == "outbound"
    assert [to.status for to in whole.to or []] == ["delivered"] * 2
    for number in (TO, OTHER):
        assert [m["text"] for m in await shared.listed(to=number)] == ["Hello"]


async def test_a_group_has_at_most_eight(sdk: AsyncTelnyx) -> None:
    numbers = [f"+1202555000{n}" for n in range(9)]
    with pytest.raises(telnyx.BadRequestError, match="8 destinations"):
        await sdk.messages.send_group_mms(from_=LONG, to=numbers, text="Hello")
    with pytest.raises(telnyx.BadRequestError, match="/to/1"):
        await sdk.messages.send_group_mms(from_=LONG, to=[TO, "12345"], text="Hello")


async def test_schedule_and_cancel(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    sent = (await sdk.messages.schedule(to=TO, from_=LONG, text=TEXT, send_at=in_minutes(60))).data
    assert sent is not None
    assert sent.id is not None
    assert [m["status"] for m in await shared.listed(to=TO)] == ["scheduled"]
    gone = await sdk.messages.cancel_scheduled(sent.id)
    assert [to.status for to in gone.to or []] == ["cancelled"]
    assert [m["status"] for m in await shared.listed(to=TO)] == ["cancelled"]
    with pytest.raises(telnyx.PermissionDeniedError) as refusal:
        await sdk.messages.cancel_scheduled(sent.id)
    # A bare error, as Telnyx declares it of this operation alone.
    assert isinstance(refusal.value.body, dict)
    assert refusal.value.body["code"] == "10010"
    with pytest.raises(telnyx.NotFoundError):
        await sdk.messages.cancel_scheduled(PROFILE)


async def test_a_scheduled_message_leaves(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    sent = (await sdk.messages.send(to=TO, from_=LONG, text=TEXT, send_at=in_minutes(6))).data
    assert sent is not None
    assert sent.id is not None
    assert await shared.status(sent.id) == "queued"
    hurry = await shared.phone.post("/sandbox/scheduled", json={"id": sent.id})
    assert hurry.status_code == 200
    await shared.hooks.of(sent.id, 2)
    assert [(m["status"], m["arrived"]) for m in await shared.listed(to=TO)] == [
        ("delivered", True)
    ]
    with pytest.raises(telnyx.PermissionDeniedError):
        await sdk.messages.cancel_scheduled(sent.id)


@pytest.mark.parametrize("minutes", [-1, 4.9, 5 * 24 * 60 + 1])
async def test_a_time_too_soon_or_too_late_is_refused(sdk: AsyncTelnyx, minutes: float) -> None:
    with pytest.raises(telnyx.BadRequestError, match="/send_at"):
        await sdk.messages.schedule(to=TO, from_=LONG, text=TEXT, send_at=in_minutes(minutes))


async def test_whatsapp(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    sent = (await sdk.messages.whatsapp(from_=LONG, to=TO, whatsapp_message=TEMPLATE)).data
    assert sent is not None
    assert sent.id is not None
    assert sent.type == "WHATSAPP"
    events = await shared.hooks.of(sent.id, 2)
    assert "654321" not in str(events)
    (listed,) = await shared.listed(to=TO)
    assert (listed["kind"], listed["status"]) == ("whatsapp", "delivered")
    assert listed["text"].startswith("654321 is your verification code")
    assert await shared.status(sent.id) == "delivered"


async def test_free_whatsapp_text_needs_an_open_window(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    async def status(to: str) -> str:
        text: Any = {"type": "text", "text": {"body": "hello"}}
        sent = (await sdk.messages.whatsapp(from_=LONG, to=to, whatsapp_message=text)).data
        assert sent is not None
        assert sent.id is not None
        (*_, last) = await shared.hooks.of(sent.id, 2)
        return str(last["data"]["payload"]["to"][0]["status"])

    assert await status("+12025550071") == "sending_failed"
    await shared.write("+12025550072", "hi")
    assert await status("+12025550072") == "delivered"


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"type": "fax"}, "/whatsapp_message/type"),
        ({"type": "template"}, "/whatsapp_message/template"),
        ({"type": "template", "template": {"name": "x"}}, "/whatsapp_message/template/language"),
        (
            {"type": "template", "template": {"template_id": "x", "components": [{"type": "x"}]}},
            "/whatsapp_message/template/components/0/type",
        ),
    ],
)
async def test_a_wrong_whatsapp_message_is_refused(
    sdk: AsyncTelnyx, content: Any, pointer: str
) -> None:
    with pytest.raises(telnyx.APIStatusError, match=pointer):
        await sdk.messages.whatsapp(from_=LONG, to=TO, whatsapp_message=content)


async def test_scenarios_are_of_whatsapp_too(sandbox: Sandbox) -> None:
    async def whatsapp(to: str) -> int:
        body = {"from": LONG, "to": to, "whatsapp_message": TEMPLATE}
        return (await sandbox.api.post("/v2/messages/whatsapp", json=body)).status_code

    # Who has no mobile number may have WhatsApp; who opted out has opted out of it too.
    assert await whatsapp("+12025550106") == 200
    assert await whatsapp("+12025550105") == 409
    await sandbox.set("0106", kind="whatsapp")
    assert await whatsapp(TO) == 400


async def test_an_inbound_text_can_be_retrieved(sdk: AsyncTelnyx, shared: Sandbox) -> None:
    found = (await sdk.messages.retrieve(await shared.write(TO, "hello"))).data
    assert found is not None
    assert (found.direction, found.text) == ("inbound", "hello")


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("+12025550105", telnyx.ConflictError),
        ("+12125550107", telnyx.RateLimitError),
        ("+12025550106", telnyx.BadRequestError),
        ("+12025550108", telnyx.InternalServerError),
    ],
)
async def test_refusals_are_the_sdks_exceptions(
    sdk: AsyncTelnyx, to: str, error: type[telnyx.APIStatusError]
) -> None:
    with pytest.raises(error) as refusal:
        await sdk.messages.send(to=to, from_=LONG, text=TEXT)
    assert isinstance(refusal.value.body, dict)
    assert refusal.value.body["errors"][0]["code"]


async def test_what_is_missing_is_422_and_an_unknown_id_404(sdk: AsyncTelnyx) -> None:
    with pytest.raises(telnyx.UnprocessableEntityError, match="/text"):
        await sdk.messages.send(to=TO, from_=LONG)
    with pytest.raises(telnyx.NotFoundError):
        await sdk.messages.retrieve(PROFILE)
    with pytest.raises(telnyx.NotFoundError):
        await sdk.messages.retrieve_group_messages(PROFILE)


async def test_a_wrong_key_is_401(sdk: AsyncTelnyx) -> None:
    wrong = sdk.with_options(api_key="wrong")
    with pytest.raises(telnyx.AuthenticationError):
        await wrong.messages.send(to=TO, from_=LONG, text=TEXT)
    with pytest.raises(telnyx.AuthenticationError) as bare:
        await wrong.messaging_optouts.list()
    assert isinstance(bare.value.body, dict)
    assert bare.value.body["code"] == "10009"


async def test_another_content_type_is_refused(shared: Sandbox) -> None:
    answer = await shared.api.post("/v2/messages", data={"to": TO})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (415, "10015")
