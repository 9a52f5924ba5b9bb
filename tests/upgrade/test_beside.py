"""The release before, as it was, beside this one on the same data. It needs this repository's history."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from tests.deploy.pages import ROOT
from tests.harness import PATIENCE, TELNYX_KEY, client, eventually, free_port, sandbox_config
from tests.upgrade.conftest import Upgraded, upgraded
from tests.upgrade.make_fixture import PREVIOUS, previous_release

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old_code() -> Iterator[Path]:
    known = ["git", "-C", str(ROOT), "cat-file", "-e", PREVIOUS]
    if subprocess.run(known, check=False, capture_output=True).returncode != 0:
        pytest.skip(f"the history of this repository is not here, so {PREVIOUS} is not")
    with previous_release() as code:
        yield code


class Old:
    """A process of the release before."""

    def __init__(self, code: Path, now: Upgraded, redis_url: str) -> None:
        self.port = free_port()
        self.env = os.environ | {
            "PYTHONPATH": str(code),
            "COUNTERSIGN_CONFIG": str(code / "service" / "cli" / "up.toml"),
            "COUNTERSIGN_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "COUNTERSIGN_TELNYX_BASE_URL": now.app.settings.telnyx_base_url,
            "COUNTERSIGN_KEYS": now.before.keys,
            "REDIS_URL": redis_url,
            "TELNYX_API_KEY": TELNYX_KEY,
            "TELNYX_PUBLIC_KEY": sandbox_config().public_key,
        }
        self.process = self._spawn()
        self.api = client(f"http://127.0.0.1:{self.port}", now.before.api_key)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "service", "serve", "--port", str(self.port)]
        return subprocess.Popen(command, env=self.env, stderr=subprocess.PIPE, cwd="/")

    def start(self) -> None:
        """Once more."""
        self.process = self._spawn()

    async def ready(self) -> None:
        async def answers() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            try:
                return (await self.api.get("/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

        await eventually(answers)

    def stop(self) -> bytes:
        self.process.terminate()
        return self.process.communicate(timeout=2 * PATIENCE)[1]


async def _log_in(
    now: Upgraded, start: httpx.AsyncClient, verify: httpx.AsyncClient, to: str
) -> None:
    """Started with one release, read on the phone, verified with the other."""
    started = await start.post("/v1/verifications", json={"to": to})
    assert started.status_code == 201, started.text
    code = (await now.app.codes(to))[-1]
    path = f"/v1/verifications/{started.json()['id']}"
    assert (await verify.get(path)).json()["status"] == "pending"
    answer = (await verify.post(f"{path}/verify", json={"code": code})).json()
    assert answer["approved"], answer


async def test_both_serve_the_same_logins_and_only_this_one_after_the_upgrade(
    redis: Redis, valkey: str, old_code: Path
) -> None:
    async with upgraded(redis, valkey) as now:
        new, old = now.api, Old(old_code, now, valkey)
        try:
            await old.ready()
            for n in range(3):
                await _log_in(now, old.api, new, f"+1202555300{n}")
                await _log_in(now, new, old.api, f"+1202555301{n}")
            # The first sender fails, and whichever release's worker comes first sends the next.
            await _log_in(now, new, old.api, "+12025530100")
            await _log_in(now, old.api, new, "+12025540100")

            await new.put("/v1/opt-outs/+12025553020")
            refused = await old.api.post("/v1/verifications", json={"to": "+12025553020"})
            assert refused.status_code == 403
            body, key = {"to": "+12025553021"}, {"idempotency-key": "beside"}
            first = await new.post("/v1/verifications", json=body, headers=key)
            again = await old.api.post("/v1/verifications", json=body, headers=key)
            assert again.json()["id"] == first.json()["id"]

            old.stop()
            old.start()
            await old.ready()
            assert not await now.app.service.migrating()
            await _log_in(now, old.api, new, "+12025553030")

            errors = old.stop()
            assert b"Traceback" not in errors, errors.decode()
            await now.app.service.migrating.store.close()
            await eventually(now.app.service.migrating)
            await _log_in(now, new, new, "+12025553031")
            old.start()
            assert old.process.wait(PATIENCE) == 1
            assert b"the store has layout 2, this release works with 1" in old.stop()
        finally:
            if old.process.poll() is None:
                old.stop()
            await old.api.aclose()
