"""The security page names tests: each must exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "service" / "SECURITY.md"
_CITED = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")


def test_every_test_that_it_names_exists() -> None:
    cited = _CITED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(cited) > 20
    for file, name in cited:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name or 'test_'}" in text, f"{file}::{name}"
