"""The client in both its forms, against the service and a sandbox phone."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.client import (
    AppChangedError,
    AppExistsError,
    AsyncCountersign,
    Countersign,
    CountersignError,
    DeliveryStatus,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    RecipientOptedOutError,
    ResendTooSoonError,
    Status,
    TransactionMismatchError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnreachableError,
    VerificationClosedError,
)
from service.store.api_keys import Scope
from tests.client.forms import NO_RETRIES, Form, address, form, key_of
from tests.harness import World, free_port, make_api_key

# The service's own, which no app calls: Telnyx does, an operator's tools do, or a browser.
NOT_FOR_APPS = {"receiveReport", "receiveEvent", "metrics", "openapi", "docs"}


async def test_a_login(app: World, call: Form, phone: str) -> None:
    started = await call("start", phone, client_ip="192.0.2.7", metadata={"cart": "7"})
    (code,) = await app.codes(phone)
    wrong = await call("verify", started.id, "000000" if code != "000000" else "000001")
    verdict = await call("verify", started.id, code)
    found = await call("get", started.id)

    assert (started.status, started.metadata) == ("pending", {"cart": "7"})
    assert started.to == "+1********23"
    assert started.expires_at - started.created_at == timedelta(minutes=5)
    assert (wrong.approved, wrong.attempts_remaining) == (False, 4)
    assert (verdict.approved, verdict.delivery) == (True, 1)
    assert found.status is Status.APPROVED
    assert found.deliveries[0].proven
    assert found.deliveries[0].status in set(DeliveryStatus)


async def test_every_operation_has_a_call(
    app: World, call: Form, which: str, document: dict[str, Any], phone: str
) -> None:
    """And each reads the answer that the service gives."""
    started = await call("start", phone)
    (code,) = await app.codes(phone)
    await call("get", started.id)
    await call("verify", started.id, code)
    with pytest.raises(VerificationClosedError):
        await call("resend", started.id)
    with pytest.raises(VerificationClosedError):
        await call("cancel", started.id)
    later = datetime.now(UTC) + timedelta(hours=2)
    notice = await call("send_notice", phone, "number_changed", send_at=later)
    assert await call("get_notice", notice.id) == notice
    assert (await call("cancel_notice", notice.id)).status == "canceled"
    recorded = await call("record_opt_out", phone)
    assert await call("get_opt_out", phone) == recorded
    assert recorded in await call("opt_outs")
    await call("lift_opt_out", phone)
    assert await call("audit_events", verification=started.id)
    await call("audit_checkpoints")
    await call("delivery_statistics", window="2h", group_by=("app", "sender"))
    await call("verification_statistics", window="2h", app="default")
    await _operate(call, which)
    assert (await call("signing_keys")).keys[0].crv == "Ed25519"
    assert (await call("explain", "not-found")).status == 404
    await call("check_alive")
    await call("check_ready")

    documented = _operations(document)
    called = {
        name
        for name, (method, path) in documented.items()
        if any(r.method == method and path.fullmatch(r.url.path) for r in call.asked)
    }
    assert set(documented) - called == NOT_FOR_APPS


async def _operate(call: Form, app: str) -> None:
    """What an operator does with apps and their keys."""
    made = await call("put_app", app, name="The Shop", limits={"recipient": ["3/600"]})
    with pytest.raises(AppExistsError):
        await call("put_app", app, name="Another")
    changed = await call("put_app", app, if_match=made.etag, limits=made.definition.limits)
    with pytest.raises(AppChangedError):
        await call("delete_app", app, if_match=made.etag)
    assert await call("get_app", app) == changed
    assert app in {found.app for found in (await call("apps")).apps}
    key = await call("create_api_key", app, ["audit"], expires_in=3600)
    assert key.key not in repr(key)
    assert [k.id for k in (await call("api_keys", app)).keys] == [key.id]
    await call("revoke_api_key", app, key.id)
    await call("delete_app", app, if_match=changed.etag)


def _operations(document: dict[str, Any]) -> dict[str, tuple[str, re.Pattern[str]]]:
    return {
        operation["operationId"]: (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_both_forms_have_the_same_calls() -> None:
    def calls(form: type) -> set[str]:
        return {name for name in vars(form) if not name.startswith("_")} - {"close", "aclose"}

    assert calls(Countersign) == calls(AsyncCountersign)


async def test_every_option_of_a_start_arrives(app: World, call: Form, phone: str) -> None:
    transaction = {"payee": "Shop", "amount": "9.90", "currency": "EUR"}
    started = await call(
        "start",
        phone,
        purpose="payment",
        senders=("long",),
        locale="en-GB",
        code_length=8,
        ttl=120,
        web_origin="https://shop.example",
        transaction=transaction,
        limit_keys={"device": "a1"},
        nonce="0123456789abcdef",
        callback_url=None,
    )
    (message,) = await app.messages(phone)
    code = re.findall(r"\d{8}", message["text"])[-1]
    with pytest.raises(TransactionMismatchError):
        await call("verify", started.id, code, transaction={**transaction, "amount": "990"})
    verdict = await call("verify", started.id, code, transaction=transaction)

    assert started.purpose == "payment"
    assert [d.sender for d in started.deliveries] == ["long"]
    assert "Shop" in message["text"]
    assert message["text"].endswith(f"@shop.example #{code}")
    assert verdict.approved
    assert verdict.proof.count(".") == 2


async def test_refusals_are_errors_with_their_own_members(
    app: World, call: Form, phone: str
) -> None:
    with pytest.raises(InvalidRequestError) as invalid:
        await call("start", "12", ttl=5)
    assert [fault.pointer for fault in invalid.value.errors] == ["/to", "/ttl"]
    assert all(fault.detail in str(invalid.value) for fault in invalid.value.errors)

    started = await call("start", phone)
    with pytest.raises(ResendTooSoonError) as early:
        await call("resend", started.id)
    assert early.value.retry_after is not None
    assert early.value.retry_after > 5  # so it was given to the caller, who can say when

    await call("cancel", started.id)
    with pytest.raises(VerificationClosedError) as closed:
        await call("verify", started.id, "123456")
    assert closed.value.status is Status.CANCELED

    await call("record_opt_out", phone)
    with pytest.raises(RecipientOptedOutError) as refused:
        await call("start", phone)
    assert (refused.value.status_code, refused.value.retry_after) == (403, None)

    with pytest.raises(NotFoundError):
        await call("get", "../opt-outs")
    assert call.asked[-1].url.raw_path == b"/v1/verifications/..%2Fopt-outs"


async def test_a_used_up_limit_is_named(call: Form, which: str, phone: str) -> None:
    limit_keys = {"tap": f"person of {which}"}
    await call("start", phone, limit_keys=limit_keys)
    with pytest.raises(RateLimitedError) as limited:
        await call("start", phone, limit_keys=limit_keys)
    assert limited.value.limit == "limit_keys.tap"
    assert limited.value.retry_after is not None
    assert len(call.asked) == 2  # ten minutes are too long to wait for


async def test_keys_that_may_not(app: World, valkey: str, which: str, phone: str) -> None:
    key = await make_api_key(valkey, scopes=(Scope.AUDIT,))
    async with form(which, address(app), key) as call:
        with pytest.raises(ForbiddenError) as forbidden:
            await call("start", phone)
    assert forbidden.value.scope == "verifications"
    async with form(which, address(app), "cs_0123456789abcdef_unknown") as call:
        for method in ("audit_stream", "opt_outs"):
            with pytest.raises(UnauthorizedError):
                await call(method)


async def test_pages_and_the_stream_give_everything(app: World, call: Form) -> None:
    numbers = [f"+1202555{n:04d}" for n in range(2000, 2120)]
    for number in numbers:
        await call("record_opt_out", number)

    assert len(await call("opt_outs")) >= len(numbers)
    events = await call("audit_events")
    assert len(events) >= len(numbers)
    assert len([r for r in call.asked if r.url.path == "/v1/audit/events"]) > 1
    streamed = await call("audit_stream")
    assert [event.id for event in streamed][: len(events)] == [event.id for event in events]
    only = await call("audit_page", limit=1, type="opt_out.recorded", recipient=numbers[0])
    assert [event.type for event in only.events] == ["opt_out.recorded"]
    assert only.events[0].members["recipient"]


async def test_another_server_is_not_taken_for_the_service(app: World, which: str) -> None:
    """Nor anything in front of it that answers in its place."""
    async with form(which, str(app.phone.base_url), key_of(app)) as call:
        with pytest.raises(UnexpectedAnswerError) as unexpected:
            await call("get", "ver_0")
    assert unexpected.value.status_code == 404


async def test_nothing_secret_stands_in_an_error_or_a_client(
    app: World, which: str, phone: str
) -> None:
    key, code = key_of(app), "918273"
    nowhere = f"http://127.0.0.1:{free_port()}"
    errors: list[CountersignError] = []
    for url in (address(app), nowhere, str(app.phone.base_url)):
        async with form(which, url, key, retries=NO_RETRIES) as call:
            for method, *args in (
                ("start", "+1202555" + code),
                ("verify", "ver_" + "0" * 34, code),
                ("get_opt_out", phone),
            ):
                with pytest.raises(CountersignError) as error:
                    await call(method, *args)
                errors.append(error.value)
            assert repr(call.client).endswith(f"Countersign('{url.rstrip('/')}')")
    assert any(isinstance(error, UnreachableError) and not error.sent for error in errors)
    shown = " ".join(f"{error} {error!r} {error.__cause__!r}" for error in errors)
    assert not [secret for secret in (key, code, phone[1:]) if secret in shown]
