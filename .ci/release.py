"""``make release VERSION=0.2.0``: writes the version wherever it stands, and a heading into CHANGELOG.md. It
commits, tags and publishes nothing: it says what is left to do."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = {
    "pyproject.toml": r'(?m)^version = "([^"]+)"$',
    "deploy/helm/countersign/Chart.yaml": r"(?m)^(?:version|appVersion): (\S+)$",
    "deploy/kubernetes/kustomization.yaml": r"(?m)^ +newTag: (\S+)$",
}
"""By file, where the version stands."""
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_UNRELEASED = "## [Unreleased]\n"


class ReleaseError(Exception):
    """The message says what is wrong."""


def versions(root: Path) -> dict[str, set[str]]:
    """What stands where, by file."""
    return {
        name: set(re.findall(place, (root / name).read_text(encoding="utf-8")))
        for name, place in PLACES.items()
    }


def release(root: Path, version: str, day: str) -> None:
    """Raises ReleaseError before anything is written, if it cannot be cut."""
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"VERSION must be three numbers, as 0.2.0, not {version!r}")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    if f"## [{version}]" in text:
        raise ReleaseError(f"CHANGELOG.md has {version} already")
    before, found, after = text.partition(_UNRELEASED)
    if not found or not re.search(r"^- ", after.split("\n## ")[0], re.MULTILINE):
        raise ReleaseError("CHANGELOG.md has nothing under [Unreleased]")
    changelog.write_text(
        f"{before}{_UNRELEASED}\n## [{version}] - {day}\n{after}", encoding="utf-8"
    )
    for name, place in PLACES.items():
        path = root / name
        path.write_text(re.sub(place, lambda m: m[0].replace(m[1], version), path.read_text()))


def main() -> None:
    version = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        release(ROOT, version, datetime.now(UTC).date().isoformat())
    except ReleaseError as error:
        sys.exit(str(error))
    print(
        f"""{version} is written. What is left:
  make openapi && make lint test test-deploy
  git commit -am "Release {version}" && git tag -s v{version}
  docker build -t <registry>/countersign:{version} -f deploy/container/Containerfile .
If the layout of the data changed since the last tag: make the fixture of that release (tests/upgrade)."""
    )


if __name__ == "__main__":
    main()
