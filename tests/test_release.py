"""A release is cut by one command, and everything names the same version."""

import importlib.util
import shutil
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cutter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path, cutter: ModuleType) -> Path:
    for name in (*cutter.PLACES, "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_everything_names_the_same_version(cutter: ModuleType) -> None:
    found = cutter.versions(ROOT)
    assert set().union(*found.values()) == {version("countersign")}, found


def test_a_release_is_written_everywhere_once(cutter: ModuleType, copy: Path) -> None:
    cutter.release(copy, "7.8.9", "2027-01-02")
    assert set().union(*cutter.versions(copy).values()) == {"7.8.9"}
    text = (copy / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]\n\n## [7.8.9] - 2027-01-02\n\n### Added\n" in text
    with pytest.raises(cutter.ReleaseError, match="already"):
        cutter.release(copy, "7.8.9", "2027-01-02")
    with pytest.raises(cutter.ReleaseError, match="nothing under"):
        cutter.release(copy, "7.9.0", "2027-01-02")


def test_what_is_no_version_is_refused(cutter: ModuleType, copy: Path) -> None:
    with pytest.raises(cutter.ReleaseError, match="three numbers"):
        cutter.release(copy, "v1", "2027-01-02")
    assert "7.8.9" not in (copy / "pyproject.toml").read_text(encoding="utf-8")
