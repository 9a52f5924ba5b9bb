from collections.abc import Iterator

import pytest

from tests.e2e.local import Up


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Whatever is left of it at the end is ended by its id."""
    running = Up(tmp_path_factory.mktemp("up"))
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()


@pytest.fixture
def up(_shared: Up) -> Up:
    """Running; one for all tests of a module, for a start takes seconds."""
    if _shared.process is None or _shared.process.poll() is not None:
        _shared.start()
    return _shared
