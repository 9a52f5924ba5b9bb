"""What outlives the sandbox: with a data directory, all but scenarios, lookups and outages."""

import itertools
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.sandbox.app import build
from service.sandbox.config import SandboxConfig
from service.sandbox.inbound import Inbound
from service.sandbox.store import Shelf, Store, StoreError
from tests.sandbox.conftest import API_KEY, LONG, PROFILE, Sandbox, running

pytestmark = pytest.mark.anyio

TO, STOPPED = "+12025550001", "+12025550002"
_RESOURCES = (
    "/v2/alphanumeric_sender_ids",
    "/v2/messaging_hosted_numbers",
    "/v2/messaging_optouts",
    "/v2/messaging_profiles",
    f"/v2/messaging_profiles/{PROFILE}/autoresp_configs",
)


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


async def _account(sandbox: Sandbox) -> list[Any]:
    found = [(await sandbox.api.get(path)).json()["data"] for path in _RESOURCES]
    for one in itertools.chain(*found):
        one.pop("webhook_url", None)  # where the test listens, each time elsewhere
    return found


async def _fill(sandbox: Sandbox) -> tuple[str, str]:
    """A sandbox with something of everything; gives the ids of a message and of a text."""
    api = sandbox.api
    sent = await sandbox.send(TO)
    await sandbox.hooks.of(sent, 2)
    sender = {"alphanumeric_sender_id": "Acme", "messaging_profile_id": PROFILE}
    assert (await api.post("/v2/alphanumeric_sender_ids", json=sender)).status_code == 201
    tags = {"tags": ["mine"]}
    assert (await api.patch(f"/v2/messaging_hosted_numbers/{LONG}", json=tags)).is_success
    path = f"/v2/messaging_profiles/{PROFILE}"
    assert (await api.post(f"{path}/actions/regenerate_secret")).is_success
    config = {"op": "info", "keywords": ["who"], "country_code": "*"}
    assert (await api.post(f"{path}/autoresp_configs", json=config)).is_success
    return sent, await sandbox.write(STOPPED, "STOP")


async def test_a_sandbox_comes_back_as_it_was(tmp_path: Path) -> None:
    async with running(data=tmp_path) as first:
        sent, written = await _fill(first)
        before = await _account(first)
        message = (await first.api.get(f"/v2/messages/{sent}")).json()
        listed = await first.listed()
    async with running(data=tmp_path) as again:
        assert await _account(again) == before
        assert (await again.api.get(f"/v2/messages/{sent}")).json() == message
        assert (await again.api.get(f"/v2/messages/{written}")).json()["data"]["text"] == "STOP"
        assert await again.listed() == listed
        assert (await again.post(STOPPED)).status_code == 409


async def test_without_a_directory_nothing_outlives_it() -> None:
    async with running() as first:
        await first.send(TO)
    async with running() as again:
        assert await again.listed() == []


async def test_a_scheduled_message_leaves_after_a_restart(tmp_path: Path) -> None:
    async with running(data=tmp_path) as first:
        held = await first.send(TO, "schedule", send_at=in_minutes(60))
        due = await first.send(STOPPED, "schedule", send_at=in_minutes(60))
    # The time of one of them passes while the sandbox is away.
    store = Store(tmp_path)
    stored = json.loads(dict(store.read("message"))[due])
    stored["request"]["send_at"] = in_minutes(-1)
    store.note("message", due, lambda: json.dumps(stored).encode())
    store.close()
    async with running(data=tmp_path) as again:
        await again.until(STOPPED, lambda m: m["status"] == "delivered")
        assert [m["status"] for m in await again.listed(to=TO)] == ["scheduled"]
        gone = await again.api.delete(f"/v2/messages/{held}")
        assert gone.json()["to"][0]["status"] == "cancelled"


async def test_a_message_under_way_is_reported_after_a_restart(tmp_path: Path) -> None:
    async with running(data=tmp_path, report_delay=60) as first:
        await first.send(TO, webhook_url=None)
    async with running(data=tmp_path) as again:
        await again.until(TO, lambda m: m["status"] == "delivered" and m["arrived"])

        def kinds() -> list[str]:
            return [body["data"]["event_type"] for _, body in again.hooks.seen]

        (message,) = await again.listed(to=TO)
        await again.hooks.of(message["id"], 2)
        assert sorted(kinds()) == ["message.finalized", "message.sent"]


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """``kill -9`` leaves the files as they are at that moment; a copy of them is a sandbox as well."""
    there, copy = tmp_path / "there", tmp_path / "copy"
    async with running(data=there, report_delay=60) as first:
        sent = [await first.send(f"+1202555{n:04}") for n in range(1, 21)]
        shutil.copytree(there, copy)
    async with running(data=copy, report_delay=60) as again:
        assert [m["id"] for m in await again.listed()] == sent


def test_two_sandboxes_do_not_share_a_directory(tmp_path: Path) -> None:
    config = SandboxConfig(api_key=API_KEY, signing_seed=bytes(32), data=tmp_path)
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="--data"):
        build(config)
    store.close()


def test_a_damaged_file_is_kept_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "sandbox.sqlite3"
    file.write_bytes(b"no database" * 1000)
    store = Store(tmp_path)
    assert list(store.read("message")) == []
    store.close()
    assert file.with_suffix(".broken").read_bytes().startswith(b"no database")
    assert "damaged" in caplog.text


async def test_the_file_forgets_with_the_memory(tmp_path: Path) -> None:
    store = Store(tmp_path)
    shelf = Shelf(store, "reply", Inbound, most=2)
    for number in range(5):
        shelf.put(str(number), Inbound(id=str(number), from_=TO, text="x"))
    store.commit()
    assert [id_ for id_, _ in store.read("reply")] == ["3", "4"]
    shelf.pop("3")
    store.close()
    again = Store(tmp_path)
    assert [one.id for one in Shelf(again, "reply", Inbound, most=2).values()] == ["4"]
    again.close()
