"""A real Valkey for the tests, and what must be true of it after each."""

import gc
import secrets
from collections.abc import AsyncIterator, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings
from redis.asyncio import Redis
from typer.main import get_command

from service.cli import embedded
from service.telemetry import configure_logging
from tests import applications
from tests.harness import World, world

# Many more examples are `make fuzz`'s.
settings.register_profile("everyday", max_examples=50, deadline=None)
settings.register_profile("fuzz", max_examples=1_000, deadline=None)
settings.load_profile("everyday")

# Putting the command together takes longer than most of what the tests have it do.
typer.testing._get_command = cache(get_command)  # type: ignore[attr-defined]

_LONGEST = {"e2e", "test_magic_numbers", "test_inbox_page", "test_migrating", "test_pages"}
PERMANENT = ("apps", "audit", "chain", "links", "checkpoints", "due", "migrated", "oo", "o:", "out")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, or one process waits for the other's last test."""
    items.sort(key=lambda item: not {item.path.parent.name, item.path.stem} & _LONGEST)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: looking for garbage in it would be for nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging("WARNING")


@pytest.fixture(scope="session", autouse=True)
def _routes_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.app.create_api", applications.api)
        yield


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that the whole run shares."""
    with embedded.start(tmp_path_factory.mktemp("valkey"), password=secrets.token_hex(8)) as server:
        server.wait_ready()
        yield server.url


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    """An empty database; afterwards every key has a TTL or is one of the few permanent ones."""
    client = Redis.from_url(valkey, decode_responses=True)
    await client.flushall()
    yield client
    leaked = [
        key
        async for key in client.scan_iter()
        if await client.ttl(key) == -1 and not _is_permanent(key)
    ]
    await client.flushall()  # The next test may begin with other master keys.
    await client.aclose()
    assert not leaked, f"keys without a TTL: {leaked}"


def _is_permanent(key: str) -> bool:
    return key in ("cs:meta", "cs:api-keys", "cs:api-keys-used") or key.split("}:", 1)[
        -1
    ].startswith(PERMANENT)


@pytest.fixture
async def store(valkey: str) -> AsyncIterator[Redis]:
    """Without anything that an earlier test of a shared world left, but for API keys."""
    async with Redis.from_url(valkey, decode_responses=True) as redis:
        left = [key async for key in redis.scan_iter("cs:{*")]
        if left:
            await redis.delete(*left)
        yield redis


@pytest.fixture
async def app(redis: Redis, valkey: str) -> AsyncIterator[World]:
    """Everything, with the built-in configuration."""
    async with world(valkey) as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
