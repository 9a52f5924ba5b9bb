import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.client.forms import FORMS, Form, address, form, key_of
from tests.harness import World, world

# One for each test, so that they can share a world: no limit counts for two of them.
_AREAS = (
    202,
    205,
    206,
    209,
    212,
    213,
    214,
    303,
    305,
    312,
    313,
    314,
    404,
    405,
    407,
    415,
    503,
    504,
    512,
    513,
    602,
    612,
    615,
    617,
    702,
    703,
    713,
    714,
    801,
    808,
    813,
    901,
    907,
    919,
)
_numbers = itertools.cycle(f"+1{area}5550123" for area in _AREAS)


@pytest.fixture(scope="module")
async def _shared(valkey: str) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as client:
        await client.flushall()
    async with world(valkey, limits={"keys": {"tap": ["1/600"]}}) as running:
        yield running


@pytest.fixture
def app(_shared: World) -> World:
    return _shared


@pytest.fixture
def phone() -> str:
    return next(_numbers)


@pytest.fixture(params=FORMS)
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def call(which: str, app: World) -> AsyncIterator[Form]:
    async with form(which, address(app), key_of(app)) as made:
        yield made


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    path = Path(__file__).parents[2] / "openapi" / "openapi.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))
