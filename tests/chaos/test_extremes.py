"""Thousands due at once, a disk that is full, clients that never finish their sentence."""

import asyncio
import os
import resource
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.cli import embedded
from tests.chaos.rig import Rig, rigged
from tests.chaos.watched import Crash, watch
from tests.harness import World, eventually, free_port, world

HERD = int(os.environ.get("CHAOS_HERD") or 10_000)
SLOW = int(os.environ.get("CHAOS_SLOW") or 2_000)
LEASE = 12_000
AREAS = [*range(202, 211), *range(212, 219)]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


async def _leave_behind(rig: Rig, count: int) -> list[str]:
    """People whose start died right after it was recorded; gives their numbers."""

    async def die(place: str) -> None:
        if place == "_store.create":
            raise Crash(place)

    async def created_alone(*_: object) -> None:
        return None

    front = rig.services[0]
    vars(front.advance)["draft"] = created_alone
    watch(front.api.state.parts.start, after=die)
    numbers = [f"+1{AREAS[n // 700]}{200 + n % 700}0001" for n in range(count)]
    for to in numbers:
        with pytest.raises(Crash):
            await rig.start(front, to)
    return numbers


@pytest.mark.timeout(1_800)
async def test_a_herd_that_is_due_at_once(redis: Redis, valkey: str) -> None:
    async with rigged(valkey, 3) as rig:
        await rig.clean()
        numbers = await _leave_behind(rig, HERD)
        rig.clock.move(LEASE + 1)
        workers = rig.services[1:]
        polls = 0
        while sum(await asyncio.gather(*(worker.worker.poll() for worker in workers))):
            polls += 1
            assert polls < HERD, "it is never done"
        for service in workers:
            await service.tasks.drain(5)
        await rig.go_on(workers[0])
        assert await rig.violations() == []
        listed = (await rig.phone.get("/sandbox/messages")).json()["messages"]
        assert sorted(m["to"] for m in listed) == sorted(numbers), "each got one message"


class _SmallDisk:
    """A Valkey whose files may not grow beyond a size: writing more fails, as on a full disk."""

    def __init__(self, folder: Path, policy: str) -> None:
        port = free_port()
        extra = [f"appendfsync {policy}", "auto-aof-rewrite-percentage 0"]
        with embedded.start(folder, password="small", port=port, extra=extra) as first:
            first.wait_ready()
            self.url = first.url
        self._argv = [str(embedded.find_server()), str(folder / "valkey.conf")]
        self._log = folder / "small.log"
        self.child = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            # Python ignores SIGXFSZ, and so does the child: it gets an error instead, as on a full disk.
            self.child = subprocess.Popen(
                self._argv, env={"LC_ALL": "C"}, stdout=log, stderr=log, restore_signals=False
            )
        return self.child

    def limit(self, size: int) -> None:
        resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def end(self) -> None:
        self.child.terminate()
        self.child.wait()


async def _login(app: World, to: str) -> str:
    id_ = str((await app.start(to))["id"])
    (*_, code) = await app.codes(to)
    assert (await app.verify(id_, code)).json()["approved"]
    return id_


async def _refused(app: World, to: str) -> httpx.Response | None:
    answer = await app.api.post("/v1/verifications", json={"to": to})
    return answer if answer.status_code == 503 else None


@pytest.mark.parametrize("policy", ["always", "everysec"])
async def test_the_disk_is_full(tmp_path: Path, policy: str) -> None:
    """With ``always`` the server ends rather than to promise what it cannot keep; else it refuses writes."""
    disk = _SmallDisk(tmp_path, policy)
    async with AsyncExitStack() as stack:
        stack.callback(disk.end)
        await eventually(lambda: _answers(disk.url))
        limits: dict[str, list[str]] = {"client_ip": [], "prefix": [], "app": [], "recipient": []}
        app = await stack.enter_async_context(world(disk.url, limits=limits))
        kept = [await _login(app, f"+120255{n}0001") for n in range(4, 9)]
        disk.limit(1)
        answer = await eventually(lambda: _refused(app, "+12025520001"))
        assert answer is not None
        assert int(answer.headers["retry-after"]) >= 1
        if policy == "always":
            await asyncio.to_thread(disk.child.wait, 30)
            disk.start()
        else:
            disk.limit(resource.RLIM_INFINITY)

        async def logs_in() -> bool:
            answer = await app.api.post("/v1/verifications", json={"to": "+12025530001"})
            return answer.status_code == 201

        await eventually(logs_in, patience=30)
        for id_ in kept:
            assert (await app.get(id_))["status"] == "approved"


async def _answers(url: str) -> bool:
    async with Redis.from_url(url) as client:
        try:
            return bool(await client.ping())
        except (OSError, RedisError):
            return False


async def test_slow_clients_keep_nobody_waiting(app: World) -> None:
    """Each sends half a request and then nothing: headers that do not end, or a body that does not come."""
    port = httpx.URL(str(app.api.base_url)).port
    halves = [
        b"POST /v1/verifications HTTP/1.1\r\nhost: x\r\nx-half: ",
        b"POST /v1/verifications HTTP/1.1\r\nhost: x\r\nauthorization: "
        + app.api.headers["authorization"].encode()
        + b"\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    ]
    writers = []
    try:
        for n in range(SLOW):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(halves[n % 2])
            writers.append(writer)
        for n in range(5):
            await _login(app, f"+120255{n}0001")
    finally:
        for writer in writers:
            writer.close()
