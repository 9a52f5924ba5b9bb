"""Redis stops under load: 503 with Retry-After, and full recovery by itself."""

import asyncio
import signal
from pathlib import Path

from service.cli import embedded
from tests.harness import World, eventually, world

PASSWORD = "away"


async def _try(app: World, number: str) -> tuple[int, str | None]:
    answer = await app.api.post("/v1/verifications", json={"to": number})
    return answer.status_code, answer.headers.get("retry-after")


async def test_every_call_is_answered_and_all_comes_back(tmp_path: Path) -> None:
    server = embedded.start(tmp_path, password=PASSWORD)
    server.wait_ready()
    async with world(server.url) as app:
        started = await app.start("+12025550101", ttl=600)
        server.stop()
        tried = await asyncio.gather(*(_try(app, f"+1202555{n}") for n in range(2000, 2030)))
        assert {(status, retry) for status, retry in tried} == {(503, "1")}
        for call in (
            app.api.get(f"/v1/verifications/{started['id']}"),
            app.verify(started["id"], "123456"),
            app.api.get("/readyz"),
            app.api.get("/v1/opt-outs"),
        ):
            answer = await call
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await app.api.get("/livez")).status_code == 200

        server = embedded.start(tmp_path, password=PASSWORD)
        server.wait_ready()
        try:

            async def recovered() -> bool:
                return (await app.api.get("/readyz")).status_code == 200

            await eventually(recovered)
            assert (await app.get(started["id"]))["id"] == started["id"]
            again = await app.start("+12025552100")
            (code,) = await app.codes("+12025552100")
            assert (await app.verify(again["id"], code)).json()["approved"]
        finally:
            server.stop()


async def test_a_redis_that_hangs_is_given_up_within_the_timeout(tmp_path: Path) -> None:
    server = embedded.start(tmp_path, password=PASSWORD)
    server.wait_ready()
    try:
        async with world(server.url) as app:
            await app.start("+12025552000")
            server.process.send_signal(signal.SIGSTOP)
            try:
                status, retry = await _try(app, "+12025552001")
            finally:
                server.process.send_signal(signal.SIGCONT)
            assert (status, retry) == (503, "1")

            async def works() -> bool:
                return (await _try(app, "+12025552002"))[0] == 201

            await eventually(works)
    finally:
        server.stop()
