"""Every operation and every webhook of Telnyx's OpenAPI document, asked of the sandbox: each answer and
each event is one that the document knows. (All other tests of the sandbox are judged so too.)"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.sandbox.conftest import BRAND, LONG, PROFILE, SHORT, Sandbox
from tests.telnyx_contract import needs_spec, operations, template

pytestmark = [pytest.mark.anyio, needs_spec]

TO = "+12025550001"
UNKNOWN = "00000000-0000-4000-8000-00000000dead"
_CONFIG = {"op": "info", "keywords": ["who"], "country_code": "*", "resp_text": "x" * 20}
_WHATSAPP = {"type": "text", "text": {"body": "hi"}}


class _Asked:
    """Asks the sandbox, whose answers are judged on the way, and keeps what was asked."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._api = sandbox.api
        self.operations: set[tuple[str, str]] = set()

    async def __call__(self, method: str, path: str, status: int, body: Any = None) -> Any:
        answer = await self._api.request(method, f"/v2{path}", json=body)
        assert answer.status_code == status, (method, path, answer.text)
        self.operations.add((method, template(method, path)))
        return answer.json()


async def _send_all(ask: _Asked) -> tuple[str, str, str]:
    """The ids of a message, a scheduled one and a group."""
    text = {"to": TO, "text": "hi"}
    profile = {"messaging_profile_id": PROFILE}
    at = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    sent = await ask("POST", "/messages", 200, {**text, "from": LONG})
    senders: dict[str, dict[str, Any]] = {
        "/messages/long_code": {"from": LONG},
        "/messages/short_code": {"from": SHORT},
        "/messages/number_pool": profile,
        "/messages/alphanumeric_sender_id": {"from": BRAND, "to": "+33612345678", **profile},
        "/messages/whatsapp": {"from": LONG, "whatsapp_message": _WHATSAPP},
    }
    for path, sender in senders.items():
        await ask("POST", path, 200, {**text, **sender})
        await ask("POST", path, 422, {})
    held = await ask("POST", "/messages/schedule", 200, {**text, "from": LONG, "send_at": at})
    group = {"from": LONG, "to": [TO, "+12025550002"], "media_urls": ["https://example.com/a"]}
    whole = await ask("POST", "/messages/group_mms", 200, group)
    return sent["data"]["id"], held["data"]["id"], whole["data"]["id"]


async def _read_all(ask: _Asked, sent: str, held: str, group: str) -> None:
    for id_ in (sent, held, group):
        await ask("GET", f"/messages/{id_}", 200)
    await ask("GET", f"/messages/group/{group}", 200)
    await ask("GET", f"/messages/group/{UNKNOWN}", 404)
    await ask("DELETE", f"/messages/{held}", 200)
    await ask("GET", f"/messages/{held}", 200)
    await ask("DELETE", f"/messages/{held}", 403)
    await ask("DELETE", f"/messages/{UNKNOWN}", 404)


async def _set_up(ask: _Asked) -> None:
    ids = "/alphanumeric_sender_ids"
    sender = {"alphanumeric_sender_id": BRAND, "messaging_profile_id": PROFILE}
    made = await ask("POST", ids, 201, sender)
    await ask("POST", ids, 422, {"alphanumeric_sender_id": 7})
    await ask("GET", f"{ids}/{made['data']['id']}", 200)
    await ask("DELETE", f"{ids}/{made['data']['id']}", 200)
    await ask("PATCH", f"/messaging_hosted_numbers/{SHORT}", 200, {"tags": ["x"]})
    await ask("PATCH", f"/messaging_hosted_numbers/{SHORT}", 400, {"tags": "x"})
    await ask("GET", f"/messaging_hosted_numbers/{SHORT}", 200)
    profile = f"/messaging_profiles/{PROFILE}"
    await ask("GET", profile, 200)
    await ask("POST", f"{profile}/actions/regenerate_secret", 200)
    one = await ask("POST", f"{profile}/autoresp_configs", 200, _CONFIG)
    path = f"{profile}/autoresp_configs/{one['data']['id']}"
    await ask("GET", path, 200)
    await ask("PUT", path, 200, _CONFIG)
    await ask("DELETE", path, 200)
    await ask("GET", path, 404)


async def _list_all(ask: _Asked) -> None:
    profile = f"/messaging_profiles/{PROFILE}"
    for path in (
        "/alphanumeric_sender_ids?page[size]=1",
        "/messaging_hosted_numbers?sort[phone_number]=desc",
        "/messaging_optouts?redaction_enabled=true",
        "/messaging_profiles",
        "/messaging_profile_metrics?time_frame=30d",
        f"{profile}/metrics",
        f"{profile}/alphanumeric_sender_ids",
        f"{profile}/autoresp_configs",
        "/number_lookup/+12025550120?type=carrier",
        "/number_lookup/+12025550120?type=caller-name",
    ):
        await ask("GET", path, 200)
    await ask("GET", "/messaging_optouts?page[size]=0", 400)
    await ask("GET", "/number_lookup/12", 422)


async def test_every_operation_answers_as_the_document_says(sandbox: Sandbox) -> None:
    ask = _Asked(sandbox)
    sent, held, group = await _send_all(ask)
    await _set_up(ask)
    await sandbox.write(TO, "STOP", to=SHORT)
    await _list_all(ask)
    await sandbox.hooks.of(group, 4)
    await _read_all(ask, sent, held, group)
    assert operations() - ask.operations == set()


async def test_without_the_key_every_operation_says_so(sandbox: Sandbox) -> None:
    sandbox.api.headers["authorization"] = "Bearer wrong"
    ask = _Asked(sandbox)
    for method, path in operations():
        names = ("id", "message_id", "profile_id", "autoresp_cfg_id", "phone_number")
        await ask(method, path.format(**dict.fromkeys(names, str(uuid4()))), 401)


@pytest.mark.parametrize("digits", ["0100", "0101", "0102", "0110", "0111"])
async def test_every_kind_of_report_is_one_of_the_document(shared: Sandbox, digits: str) -> None:
    # The receiver judges each; the fixture fails at its end if one was wrong.
    await shared.hooks.of(await shared.send(f"+1212555{digits}"), 2)
    assert shared.hooks.faults == []
