"""How often each call asks Redis, from its arrival until nothing of it is under way any more."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.app import Role
from service.cli import embedded
from service.store.connection import Connection
from tests.harness import World, world

_TO = "+12025550104"  # the sandbox sends no webhook for it


async def count() -> tuple[int, int]:
    """Round trips of a start and of a verify, its tallies with it."""
    made: list[object] = []
    guard = Connection._guard

    async def counted(self: Connection, call: Any) -> Any:
        made.append(call)
        return await guard(self, call)

    with TemporaryDirectory() as folder, embedded.start(Path(folder), password="bench") as server:
        server.wait_ready()
        async with world(server.url, role=Role.API) as app:
            await _log_in(app, 1)  # scripts are loaded, the API key is known
            Connection._guard = counted  # type: ignore[method-assign]
            try:
                id_ = (await app.start(_TO, client_ip="192.0.2.7"))["id"]
                (*_, code) = await app.codes(_TO, 2)
                start = len(made)
                await app.verify(id_, code)
                await app.service.tasks.drain(5)
            finally:
                Connection._guard = guard  # type: ignore[method-assign]
    return start, len(made) - start


async def _log_in(app: World, number: int) -> None:
    id_ = (await app.start(_TO, client_ip="192.0.2.7"))["id"]
    (*_, code) = await app.codes(_TO, number)
    assert (await app.verify(id_, code)).json()["approved"]
    await app.service.tasks.drain(5)
