"""Telnyx's official SDK, pointed at the sandbox: the account and its settings."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
import telnyx
from telnyx import AsyncTelnyx
from telnyx.types.messaging_optout_list_params import Filter

from tests.sandbox.conftest import BRAND, LONG, PROFILE, SHORT, Sandbox, running, sdk_of

pytestmark = pytest.mark.anyio

TO, FRENCH = "+12025550001", "+33612345678"
ANSWER = "You will hear no more from us."


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as found:
        yield found


@pytest.fixture(scope="module")
async def sdk(sandbox: Sandbox) -> AsyncIterator[AsyncTelnyx]:
    async with sdk_of(sandbox) as client:
        yield client


async def test_sender_ids(sdk: AsyncTelnyx) -> None:
    profile = str(uuid4())
    ids = sdk.alphanumeric_sender_ids
    made = [
        (await ids.create(alphanumeric_sender_id=name, messaging_profile_id=profile)).data
        for name in ("Acme", "Acme 2", "Acme 3")
    ]
    names = [one.alphanumeric_sender_id for one in made if one]
    assert names == ["Acme", "Acme 2", "Acme 3"]
    # Three pages of one each, which the SDK goes through by itself.
    listed = ids.list(filter_messaging_profile_id=profile, page_size=1)
    assert [one.alphanumeric_sender_id async for one in listed] == names
    of_profile = sdk.messaging_profiles.list_alphanumeric_sender_ids(profile, page_size=2)
    assert [one.alphanumeric_sender_id async for one in of_profile] == names
    assert made[0] is not None
    assert made[0].id is not None
    assert (await ids.retrieve(made[0].id)).data == made[0]
    assert (await ids.delete(made[0].id)).data == made[0]
    with pytest.raises(telnyx.NotFoundError):
        await ids.retrieve(made[0].id)
    with pytest.raises(telnyx.NotFoundError):
        await ids.delete(made[0].id)
    with pytest.raises(telnyx.NotFoundError):
        await sdk.messaging_profiles.list_alphanumeric_sender_ids(str(uuid4()))


@pytest.mark.parametrize("name", ["12345", "Acme-Corporation", "A" * 12, ""])
async def test_a_wrong_sender_id_is_refused(sdk: AsyncTelnyx, name: str) -> None:
    with pytest.raises(telnyx.UnprocessableEntityError, match="/alphanumeric_sender_id"):
        await sdk.alphanumeric_sender_ids.create(
            alphanumeric_sender_id=name, messaging_profile_id=PROFILE
        )


async def test_a_sender_id_falls_back_to_a_long_code(sdk: AsyncTelnyx, sandbox: Sandbox) -> None:
    await sdk.alphanumeric_sender_ids.create(
        alphanumeric_sender_id="Fallback", messaging_profile_id=PROFILE, us_long_code_fallback=LONG
    )
    to = "+12025550061"
    await sandbox.send(to, "alphanumeric_sender_id", **{"from": "Fallback"})
    assert [m["from"] for m in await sandbox.listed(to=to)] == [LONG]


async def test_hosted_numbers(sdk: AsyncTelnyx, sandbox: Sandbox) -> None:
    await sandbox.send(TO, **{"from": "+14155550177"})
    numbers = sdk.messaging_hosted_numbers
    rising = [n.phone_number async for n in numbers.list(page_size=1, sort_phone_number="asc")]
    falling = [n.phone_number async for n in numbers.list(page_size=2, sort_phone_number="desc")]
    assert rising == sorted(filter(None, falling)) == falling[::-1]
    assert {LONG, SHORT, "+14155550177"} <= set(rising)
    (found,) = [n async for n in numbers.list(filter_phone_number_contains="0177")]
    assert [n async for n in numbers.list(filter_phone_number="+14155550177")] == [found]
    assert (found.type, found.country_code) == ("longcode", "US")
    assert found.id is not None
    by_id, by_number = await numbers.retrieve(found.id), await numbers.retrieve("+14155550177")
    assert by_id == by_number
    with pytest.raises(telnyx.NotFoundError):
        await numbers.retrieve("+14155550178")


async def test_a_number_can_be_assigned_and_taken_away(sdk: AsyncTelnyx, sandbox: Sandbox) -> None:
    number, profile = "+14155550188", str(uuid4())
    await sandbox.send(TO, **{"from": number})
    numbers = sdk.messaging_hosted_numbers
    changed = (
        await numbers.update(
            number, messaging_profile_id=profile, messaging_product="P2P", tags=["mine"]
        )
    ).data
    assert changed is not None
    assert (changed.messaging_profile_id, changed.messaging_product, changed.tags) == (
        profile,
        "P2P",
        ["mine"],
    )
    assert [n.phone_number async for n in numbers.list(filter_messaging_profile_id=profile)] == [
        number
    ]
    away = (await numbers.update(number, messaging_profile_id="")).data
    assert away is not None
    assert (away.messaging_profile_id, away.tags) == (None, ["mine"])
    answer = await sandbox.post(TO, **{"from": number})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "40305")


async def test_opt_outs_are_listed_and_block_their_profile(
    sdk: AsyncTelnyx, sandbox: Sandbox
) -> None:
    to, profile = "+12025550062", str(uuid4())
    await sandbox.send(to, "number_pool")
    await sandbox.write(to, " stop all ")
    opt_outs, pool = sdk.messaging_optouts, Filter({"from": "+18445550009"})
    (row,) = [o async for o in opt_outs.list(filter=pool)]
    assert (row.messaging_profile_id, row.keyword, row.from_) == (
        PROFILE,
        "STOP ALL",
        "+18445550009",
    )
    with pytest.raises(telnyx.ConflictError, match="40300"):
        await sdk.messages.send(to=to, from_=LONG, text="hi")
    # Another profile has a list of its own.
    await sdk.messages.send(to=to, from_=LONG, text="hi", messaging_profile_id=profile)
    await sandbox.write(to, "unstop", to="+18445550009")
    assert [o async for o in opt_outs.list(filter=pool)] == []
    await sdk.messages.send(to=to, from_=LONG, text="hi")


async def test_opt_outs_are_filtered_and_redacted(sdk: AsyncTelnyx, sandbox: Sandbox) -> None:
    profile = str(uuid4())
    numbers = ["+12125550101", "+12125550102", "+12125550103"]
    body = {"numbers": numbers, "messaging_profile_id": profile, "from": BRAND}
    assert (await sandbox.phone.post("/sandbox/opt-outs", json=body)).status_code == 200
    opt_outs = sdk.messaging_optouts
    of_profile = opt_outs.list(filter={"messaging_profile_id": profile}, page_size=2)
    assert [o.to async for o in of_profile] == numbers
    assert [o.to async for o in opt_outs.list(filter={"from": BRAND})] == numbers
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    mine: Filter = {"messaging_profile_id": profile}
    assert len([o async for o in opt_outs.list(filter=mine, created_at={"gte": now - hour})]) == 3
    assert len([o async for o in opt_outs.list(filter=mine, created_at={"gte": now + hour})]) == 0
    assert len([o async for o in opt_outs.list(filter=mine, created_at={"lte": now - hour})]) == 0
    hidden = opt_outs.list(filter=mine, redaction_enabled="true")
    assert {o.to async for o in hidden} == {"+1212555****"}


@pytest.mark.parametrize("size", [0, 251])
async def test_pages_have_limits(sdk: AsyncTelnyx, size: int) -> None:
    with pytest.raises(telnyx.BadRequestError) as refusal:
        await sdk.messaging_optouts.list(page_size=size)
    assert isinstance(refusal.value.body, dict)
    assert refusal.value.body["source"] == {"parameter": "page[size]"}
    with pytest.raises(telnyx.UnprocessableEntityError):
        await sdk.alphanumeric_sender_ids.list(page_size=size)


async def test_fifty_thousand_opt_outs(sandbox: Sandbox) -> None:
    profile = str(uuid4())
    body = {"count": 50_000, "messaging_profile_id": profile}
    assert (await sandbox.phone.post("/sandbox/opt-outs", json=body)).status_code == 200
    query: dict[str, str | int] = {
        "filter[messaging_profile_id]": profile,
        "page[size]": 250,
        "page[number]": 200,
    }
    last = (await sandbox.api.get("/v2/messaging_optouts", params=query)).json()
    assert last["meta"]["total_results"] == 50_000
    assert last["meta"]["total_pages"] == 200
    assert len({row["to"] for row in last["data"]}) == 250


async def test_metrics_are_counted_from_the_messages(sdk: AsyncTelnyx, sandbox: Sandbox) -> None:
    profile = str(uuid4())
    for to in ("+12025550063", "+12025550101"):
        sent = (
            await sdk.messages.send(to=to, from_=LONG, text="hi", messaging_profile_id=profile)
        ).data
        assert sent is not None
        assert sent.id is not None
        await sandbox.hooks.of(sent.id, 2)
    listed = (await sdk.messaging_profile_metrics.list(time_frame="1h")).data or []
    (mine,) = [one for one in listed if one["messaging_profile_id"] == profile]
    assert mine["outbound"] == {"sent": 2, "delivered": 1, "error_ratio": 0.5}
    found = (await sdk.messaging_profiles.retrieve_metrics(profile, time_frame="3d")).data
    assert found is not None
    assert found["overview"] == mine
    (day,) = cast("list[Any]", found["detailed"])
    assert day["metrics"][0]["label"] == "long_code"
    with pytest.raises(telnyx.NotFoundError):
        await sdk.messaging_profiles.retrieve_metrics(str(uuid4()))
    with pytest.raises(telnyx.BadRequestError, match="time_frame"):
        await sdk.messaging_profile_metrics.list(time_frame="2h")  # type: ignore[arg-type]


async def test_profiles_and_a_new_secret(sdk: AsyncTelnyx) -> None:
    (first,) = [p async for p in sdk.messaging_profiles.list(filter_name_eq="Sandbox")]
    assert (first.id, first.webhook_api_version, first.enabled) == (PROFILE, "2", True)
    read = (await sdk.messaging_profiles.retrieve(PROFILE)).data
    changed = (await sdk.messaging_profiles.actions.regenerate_secret(PROFILE)).data
    assert read is not None
    assert changed is not None
    assert read.v1_secret
    assert changed.v1_secret not in (None, read.v1_secret)
    with pytest.raises(telnyx.NotFoundError):
        await sdk.messaging_profiles.actions.regenerate_secret(str(uuid4()))


async def test_autoresponses(sdk: AsyncTelnyx, sandbox: Sandbox) -> None:
    configs, phone = sdk.messaging_profiles.autoresp_configs, "+12025550064"
    made = (
        await configs.create(
            PROFILE, op="stop", keywords=["Geh Weg"], country_code="*", resp_text=ANSWER
        )
    ).data
    assert made in (await configs.list(PROFILE, country_code="*")).data
    assert (await configs.list(PROFILE, country_code="FR")).data == []
    assert (await configs.retrieve(made.id, profile_id=PROFILE)).data == made

    event, *_ = await sandbox.hooks.of(await sandbox.write(phone, "geh  weg"), 1)
    assert event["data"]["payload"]["autoresponse_type"] == "STOP"
    shown = await sandbox.until(phone, lambda m: m["arrived"])
    assert shown["text"] == ANSWER
    assert (await sandbox.post(phone)).status_code == 409

    changed = await configs.update(
        made.id, profile_id=PROFILE, op="info", keywords=["who"], country_code="US"
    )
    assert (changed.data.op, changed.data.resp_text, changed.data.created_at) == (
        "info",
        None,
        made.created_at,
    )
    event, *_ = await sandbox.hooks.of(await sandbox.write(phone, "WHO"), 1)
    assert event["data"]["payload"]["autoresponse_type"] == "HELP"
    event, *_ = await sandbox.hooks.of(await sandbox.write(FRENCH, "WHO"), 1)
    assert event["data"]["payload"]["autoresponse_type"] is None
    await configs.delete(made.id, profile_id=PROFILE)
    with pytest.raises(telnyx.NotFoundError):
        await configs.retrieve(made.id, profile_id=PROFILE)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"op": "help"}, "/op"),
        ({"keywords": []}, "/keywords"),
        ({"keywords": ["x"] * 21}, "/keywords"),
        ({"keywords": ["x", 7]}, "/keywords/1"),
        ({"country_code": "usa"}, "/country_code"),
        ({"resp_text": "too short"}, "/resp_text"),
    ],
)
async def test_a_wrong_autoresponse_is_refused(
    sandbox: Sandbox, changes: dict[str, object], pointer: str
) -> None:
    body = {"op": "stop", "keywords": ["x"], "country_code": "US", **changes}
    path = f"/v2/messaging_profiles/{PROFILE}/autoresp_configs"
    answer = await sandbox.api.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}


@pytest.mark.parametrize(
    ("digits", "type_"),
    [("0001", "mobile"), ("0106", "fixed line"), ("0120", "voip"), ("0121", "premium rate")],
)
async def test_number_lookup(sdk: AsyncTelnyx, digits: str, type_: str) -> None:
    number = f"+1202555{digits}"
    found = (await sdk.number_lookup.retrieve(number, type="carrier")).data
    assert found is not None
    assert found.carrier is not None
    assert found.portability is not None
    assert (found.phone_number, found.country_code) == (number, "US")
    assert (found.carrier.type, found.portability.ported_status) == (type_, "N")


async def test_a_ported_number_says_when(sdk: AsyncTelnyx, sandbox: Sandbox) -> None:
    async def ported(number: str) -> tuple[str | None, str | None]:
        found = (await sdk.number_lookup.retrieve(number, type="carrier")).data
        assert found is not None
        assert found.portability is not None
        return found.portability.ported_status, found.portability.ported_date

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert await ported("+12025550122") == ("Y", yesterday.isoformat())
    number = "+12025550065"
    body = {"number": number, "type": "mobile", "ported_date": "2026-01-31"}
    assert (await sandbox.phone.post("/sandbox/lookups", json=body)).status_code == 200
    assert await ported(number) == ("Y", "2026-01-31")
    bare = (await sdk.number_lookup.retrieve(number)).data
    assert bare is not None
    assert bare.carrier is None
    with pytest.raises(telnyx.UnprocessableEntityError):
        await sdk.number_lookup.retrieve("+1")
