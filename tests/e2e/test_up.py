"""``countersign up``: the README's session, restarts, and what is left on disk."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from tests.e2e.local import Up
from tests.harness import eventually, read_code

README = Path(__file__).parents[2] / "README.md"
PHONES = [f"+120255501{n:02d}" for n in range(60, 72)]


def _session() -> str:
    """The README's curl session, as it stands."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    session: str = next(block for block in blocks if ".countersign/dev.env" in block)
    return session


async def _login(up: Up, number: str) -> str:
    """A whole login; gives its code."""
    async with up.api() as api, up.phone() as phone:
        headers = {"idempotency-key": f"key-{number[-3:]}"}
        body = {"to": number, "client_ip": "192.0.2.7", "metadata": {"flow": "scan"}}
        answer = await api.post("/v1/verifications", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        started = answer.json()

        async def arrived() -> str:
            answer = await phone.get("/sandbox/messages", params={"to": number})
            found = [read_code(m["text"]) for m in answer.json()["messages"] if m["arrived"]]
            return found[-1] if found else ""

        code = await eventually(arrived)
        path = f"/v1/verifications/{started['id']}/verify"
        answer = (await api.post(path, json={"code": code})).json()
    assert answer["approved"], answer
    return code


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's session needs curl")
async def test_the_readme_session_ends_approved(up: Up) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-euo", "pipefail", "-c", _session()],
        cwd=up.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert '"approved":true' in done.stdout


async def test_everything_comes_back_on_the_same_data(up: Up) -> None:
    number = "+12025550140"
    async with up.api() as api:
        started = (await api.post("/v1/verifications", json={"to": number})).json()
        await api.put("/v1/opt-outs/+12025550141")
    key = up.env["COUNTERSIGN_API_KEY"]
    assert up.stop() == 0
    up.start()
    assert up.env["COUNTERSIGN_API_KEY"] == key
    async with up.api() as api:
        read = (await api.get(f"/v1/verifications/{started['id']}")).json()
        assert (read["id"], read["status"]) == (started["id"], "pending")
        assert (await api.get("/v1/opt-outs/+12025550141")).status_code == 200


async def test_a_stop_finishes_what_is_in_flight(up: Up) -> None:
    async with up.api() as api, up.phone() as phone:
        await phone.post("/sandbox/outages", json={"mode": "slow", "seconds": 30})
        body = {"to": "+12025550143"}
        started = asyncio.create_task(api.post("/v1/verifications", json=body))
        redis = Redis.from_url(up.env["REDIS_URL"], decode_responses=True)

        async def sending() -> bool:
            return bool([key async for key in redis.scan_iter("cs:*:c:*")])

        await eventually(sending)
        await redis.aclose()
        status = await asyncio.to_thread(up.stop)
        answer = await started
    assert status == 0
    assert answer.status_code == 201
    assert answer.json()["deliveries"][0]["status"] == "queued"


async def test_a_part_that_is_killed_is_started_again(up: Up) -> None:
    for name in ("serve", "valkey"):
        os.kill(up.children()[name], signal.SIGKILL)

        async def ready() -> bool:
            async with up.api() as api:
                try:
                    return (await api.get("/readyz")).status_code == 200
                except httpx.HTTPError:
                    return False

        await eventually(ready)
    await _login(up, "+12025550142")


async def test_no_code_and_no_number_is_left_anywhere(up: Up) -> None:
    codes = [await _login(up, number) for number in PHONES]
    async with up.phone() as phone:
        await phone.post("/sandbox/inbound", json={"from": PHONES[0], "text": "STOP"})
    await _login(up, "+12025550150")
    redis = Redis.from_url(up.env["REDIS_URL"], decode_responses=True)
    dump = [value async for key in redis.scan_iter() for value in (key, await _read(redis, key))]
    await redis.aclose()
    up.stop()
    files = [path for path in up.data.rglob("*") if path.is_file() and "secrets" not in path.parts]
    assert any(path.suffix == ".aof" for path in files)
    texts = {str(path): path.read_bytes().decode("latin-1") for path in files}
    texts |= {f"redis {n}": text for n, text in enumerate(dump)}
    texts["up.log"] = (up.folder / "up.log").read_text()
    for where, text in texts.items():
        for number in PHONES:
            assert number.lstrip("+") not in text, where
        for code in codes:
            # Six digits may stand by chance within a time or a digest, never alone.
            assert not re.search(rf"(?<![0-9a-zA-Z.+/]){code}(?![0-9a-zA-Z.+/=])", text), where


async def _read(redis: Redis, key: str) -> str:
    match await redis.type(key):
        case "hash":
            return str(await redis.hgetall(key))
        case "zset":
            return str(await redis.zrange(key, 0, -1))
        case "stream":
            return str(await redis.xrange(key))
        case "set":
            return str(await redis.smembers(key))
        case _:
            return str(await redis.get(key))


def test_a_port_in_use_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run_up(tmp_path, "--port", str(port))
    assert done.returncode == 1
    assert "is in use: choose another with --port" in done.stderr


def _run_up(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "service", "up", *options],
        cwd=folder,
        env={"PYTHONPATH": str(README.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
