import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tools() -> Path:
    """Where `make test-deploy` installs the tools that judge what is in deploy/."""
    return Path(sys.prefix) / "bin"
