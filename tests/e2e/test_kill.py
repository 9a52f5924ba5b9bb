"""``kill -9`` of all processes at random instants under load, then a restart on the same data."""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.local import Up
from tests.harness import eventually, read_code

LOGINS_AT_ONCE = 8
PLAN = 4  # deliveries at most: the budget of the built-in configuration

CONFIG = Path(__file__).parents[2] / "service" / "cli" / "up.toml"


@dataclass
class Seen:
    """What callers were told, over all the kills."""

    started: set[str] = field(default_factory=set)
    approved: set[str] = field(default_factory=set)

    async def has_approved(self) -> bool:
        return bool(self.approved)


async def _logins(up: Up, seen: Seen, worker: int) -> None:
    """Log in again and again, until the processes are gone."""
    async with up.api() as api, up.phone() as phone:
        while True:
            last = random.choice(["0001", "0100", "0111", "0004"])
            number = f"+1{200 + worker}{random.randint(200, 999)}{last}"
            try:
                await _login(api, phone, number, seen)
            except (httpx.HTTPError, OSError):
                return


async def _login(api: httpx.AsyncClient, phone: httpx.AsyncClient, number: str, seen: Seen) -> None:
    answer = await api.post("/v1/verifications", json={"to": number})
    if answer.status_code != 201:
        return
    id_ = answer.json()["id"]
    seen.started.add(id_)
    found = (await phone.get("/sandbox/messages", params={"to": number})).json()["messages"]
    if found:
        path = f"/v1/verifications/{id_}/verify"
        verdict = await api.post(path, json={"code": read_code(found[-1]["text"])})
        if verdict.status_code == 200 and verdict.json()["approved"]:
            seen.approved.add(id_)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rounds", [1, pytest.param(15, marks=pytest.mark.slow)])
async def test_nothing_is_lost_or_stuck_after_kill_9(tmp_path: Path, rounds: int) -> None:
    config = tmp_path / "quick.toml"
    text = CONFIG.read_text(encoding="utf-8")
    config.write_text(
        text.replace("uncertain_grace = 5", "uncertain_grace = 1")
        + '\n[hash]\nprofile = "minimum"\n'
    )
    up, seen = Up(tmp_path), Seen()
    for _ in range(rounds):
        up.start(config)
        load = asyncio.gather(*(_logins(up, seen, worker) for worker in range(LOGINS_AT_ONCE)))
        await asyncio.sleep(random.uniform(0.5, 1.5))
        # At least one login has come through: on a busy machine that takes longer.
        await eventually(seen.has_approved, patience=30)
        up.kill_all()
        await load
    assert seen.approved
    up.start(config)
    try:
        await _check(up, seen)
    finally:
        up.stop()


async def _check(up: Up, seen: Seen) -> None:
    async with up.api() as api:

        async def read(id_: str) -> dict[str, Any]:
            answer = await api.get(f"/v1/verifications/{id_}")
            return dict(answer.json()) if answer.status_code == 200 else {}

        # The embedded Valkey answers after its append-only file is synced.
        for id_ in seen.approved:
            assert (await read(id_)).get("status") == "approved", id_

        async def settled() -> bool:
            found = [await read(id_) for id_ in seen.started - seen.approved]
            return all(
                d["status"] != "sending"
                for v in found
                for d in v.get("deliveries", [{"status": ""}])
            )

        await eventually(settled, patience=30)
        for id_ in seen.started:
            deliveries = (await read(id_))["deliveries"]
            assert 1 <= len(deliveries) <= PLAN
