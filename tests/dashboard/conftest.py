from collections.abc import AsyncIterator

import pytest

from tests.dashboard.run import Run, running


@pytest.fixture(scope="module")
async def run(valkey: str) -> AsyncIterator[Run]:
    """One run for all tests of a module."""
    async with running(valkey) as found:
        yield found
