"""Several processes on one port: none of them is needed, and none that ends loses a request."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from service.api.admission import FEW
from tests import applications
from tests.harness import (
    KEYS,
    NO_TLS,
    TELNYX_KEY,
    UP_TOML,
    client,
    eventually,
    free_port,
    make_api_key,
    sandbox_config,
    serving,
)

PROCESSES, CLIENTS = 2, 8
CROWD = 400
PAUSE = 1_500  # milliseconds: less than the store's answers are waited for
AREAS = (202, 205, 206, 207, 208, 209, 210, 212)


@dataclass
class Many:
    """The supervisor and where its processes are."""

    supervisor: "subprocess.Popen[bytes]"
    url: str
    key: str
    inspection: int
    http: httpx.AsyncClient

    @property
    def children(self) -> set[int]:
        pid = self.supervisor.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return set(map(int, listed.split()))

    async def ready(self) -> bool:
        """Whether each process answers at its own port."""
        try:
            for index in range(PROCESSES):
                await self.http.get(f"http://127.0.0.1:{self.inspection + index}/readyz")
        except httpx.TransportError:
            return False
        return len(self.children) == PROCESSES


@pytest.fixture(scope="module")
async def many(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Many]:
    tmp_path = tmp_path_factory.mktemp("many")
    async with Redis.from_url(valkey) as store:
        await store.flushall()
    port, inspection, sandbox_port = free_port(), free_port(), free_port()
    config = tmp_path / "many.toml"
    config.write_text(
        UP_TOML.read_text(encoding="utf-8")
        + f'\n[hash]\nprofile = "minimum"\n[http]\ninspection = "127.0.0.1:{inspection}"\n',
        encoding="utf-8",
    )
    environment = os.environ | {
        "COUNTERSIGN_KEYS": KEYS,
        "REDIS_URL": valkey,
        "TELNYX_API_KEY": TELNYX_KEY,
        "TELNYX_PUBLIC_KEY": sandbox_config().public_key,
        "COUNTERSIGN_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "COUNTERSIGN_TELNYX_BASE_URL": f"http://127.0.0.1:{sandbox_port}/v2",
    }
    argv = [sys.executable, "-m", "service", "serve", "--processes", str(PROCESSES)]
    async with (
        serving(applications.sandbox(sandbox_config()), sandbox_port),
        httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http,
    ):
        with (tmp_path / "many.log").open("wb") as log:
            supervisor = subprocess.Popen(  # noqa: ASYNC220 - it only starts
                [*argv, "--port", str(port), "--config", str(config)],
                env=environment, stdout=log, stderr=log, process_group=0,
            )  # fmt: skip
        key = await make_api_key(valkey)
        found = Many(supervisor, f"http://127.0.0.1:{port}", key, inspection, http)
        try:
            await eventually(found.ready, patience=60)
            yield found
        finally:
            supervisor.terminate()
            assert await asyncio.to_thread(supervisor.wait, 30) == 0, (
                tmp_path / "many.log"
            ).read_text()


class _Load:
    """People who ask without a pause; what was not answered is counted by its kind."""

    def __init__(self, many: Many) -> None:
        self._many = many
        self.answers: Counter[object] = Counter()
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> "_Load":
        self._people = [asyncio.create_task(self._person(n)) for n in range(CLIENTS)]
        await eventually(self._served)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await asyncio.gather(*self._people)

    async def _served(self) -> bool:
        return self.answers.total() > 5 * CLIENTS

    async def more(self) -> None:
        """Until as many were answered again."""
        goal = self.answers.total() + 10 * CLIENTS

        async def done() -> bool:
            return self.answers.total() >= goal

        await eventually(done)

    async def _person(self, n: int) -> None:
        """Every second one starts something, the others read what is not there."""
        async with client(self._many.url, self._many.key) as api:
            for count in itertools.takewhile(
                lambda _: not self._stopping.is_set(), itertools.count()
            ):
                to = f"+1{AREAS[n % len(AREAS)]}{200 + count % 700}0001"
                try:
                    if n % 2:
                        answer = await api.post("/v1/verifications", json={"to": to})
                    else:
                        answer = await api.get(f"/v1/verifications/ver_00{n:032x}")
                    self.answers[answer.status_code] += 1
                except httpx.TransportError as error:
                    self.answers[type(error).__name__] += 1


async def test_a_process_that_stops_loses_no_request(many: Many) -> None:
    before = many.children
    async with _Load(many) as load:
        stopped = min(before)
        os.kill(stopped, signal.SIGTERM)

        async def replaced() -> bool:
            return stopped not in many.children and len(many.children) == PROCESSES

        await eventually(replaced, patience=60)
        await load.more()
    # 429 and 503: too many starts for a limit, or for a busy machine. They are answers too.
    assert {201, 404} <= set(load.answers) <= {201, 404, 429, 503}, load.answers


async def test_what_is_killed_comes_back_and_all_share_one_store(many: Many) -> None:
    os.kill(min(many.children), signal.SIGKILL)
    await eventually(many.ready, patience=60)
    async with client(many.url, many.key) as api:
        started = [
            (await api.post("/v1/verifications", json={"to": f"+1202555{n:04}"})).json()
            for n in range(160, 166)
        ]
    async with client(many.url, many.key) as api:
        for one in started:
            answer = await api.get(f"/v1/verifications/{one['id']}")
            assert answer.status_code == 200


class _Crowd:
    """Starts that come one after another, whoever is answered; ``early``: the answers so far."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api = api
        self.early: list[httpx.Response] = []

    async def come(self, until: Callable[[], bool]) -> None:
        async with asyncio.TaskGroup() as coming:
            for n in itertools.takewhile(lambda n: n < CROWD and not until(), itertools.count()):
                coming.create_task(self._start(f"+1{AREAS[n % len(AREAS)]}777{n:04}"))
                await asyncio.sleep(0.01)

    async def _start(self, to: str) -> None:
        self.early.append(await self._api.post("/v1/verifications", json={"to": to}))


async def test_while_the_store_lags_starts_are_turned_away_at_once_and_nothing_is_lost(
    many: Many, valkey: str
) -> None:
    limits = httpx.Limits(max_connections=CROWD)
    async with (
        Redis.from_url(valkey) as store,
        httpx.AsyncClient(
            base_url=many.url,
            headers={"authorization": f"Bearer {many.key}"},
            trust_env=False,
            timeout=30,
            limits=limits,
        ) as api,
    ):
        crowd = _Crowd(api)

        def is_refused() -> bool:
            return sum(answer.status_code == 503 for answer in crowd.early) >= 20

        await store.client_pause(PAUSE)
        await crowd.come(is_refused)
        refused = [answer for answer in crowd.early if answer.status_code == 503]
        started = [answer.json() for answer in crowd.early if answer.status_code == 201]
        assert len(refused) >= 20
        assert len(started) >= FEW
        assert len(refused) + len(started) == len(crowd.early)
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert {answer.json()["type"] for answer in refused} == {"/problems/unavailable"}
        for one in started:
            read = (await api.get(f"/v1/verifications/{one['id']}")).json()
            assert read["deliveries"][0]["status"] in ("queued", "sent", "delivered")

        async def is_let_in_again() -> bool:
            number = f"+1{AREAS[0]}778{next(crowd_after):04}"
            answer = await api.post("/v1/verifications", json={"to": number})
            return answer.status_code == 201

        crowd_after = itertools.count()
        await eventually(is_let_in_again)


@pytest.mark.slow
def test_one_that_cannot_start_ends_all(valkey: str, tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text(UP_TOML.read_text(encoding="utf-8"), encoding="utf-8")
    environment = os.environ | {
        "COUNTERSIGN_KEYS": KEYS,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "TELNYX_API_KEY": TELNYX_KEY,
        "TELNYX_PUBLIC_KEY": sandbox_config().public_key,
        "COUNTERSIGN_PUBLIC_URL": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--processes", "2", "--port", str(free_port()),
         "--config", str(config)],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Redis does not answer" in done.stderr
    assert "a process does not start (status 1)" in done.stderr
