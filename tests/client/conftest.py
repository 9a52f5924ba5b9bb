import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.forms import FORMS, Form, address, form, key_of
from tests.harness import World


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
