"""The pages that people read, cut into their fenced blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGES = sorted(
    [ROOT / "README.md", *(ROOT / "service").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
)
HOST = "sh host"
"""What is for a machine of the reader's: nobody here can run it, and ``NOT_RUN`` says why."""
DRAWING = ""

NOT_RUN = {
    ("README.md", "make run"): "it has no end; test_readme.py runs it by itself",
    ("README.md", "export COUNTERSIGN_KEYS"): "your Redis and account; connect-telnyx.md rehearses",
    ("README.md", "make lint"): "they judge this very checkout, as CI does",
    ("deploy/README.md", "docker build"): "needs an engine; test_container.py has the steps",
    ("deploy/README.md", "echo sandbox"): "needs an engine; test_container.py starts the same",
    ("deploy/README.md", "kubectl create"): "needs a cluster; test_kubernetes.py judges it",
    ("deploy/README.md", "python3 -m venv"): "needs systemd; test_systemd.py has the rest",
    (
        "deploy/examples/README.md",
        ".",
    ): "the checkout around an example; test_examples.py does the same",
    (
        "deploy/examples/django/README.md",
        "python app.py",
    ): "test_examples.py runs it: it has no end",
    ("deploy/examples/fastapi/README.md", "uvicorn"): "test_examples.py runs it: it has no end",
    ("deploy/examples/android/README.md", "uvicorn"): "test_examples.py runs it: it has no end",
    (
        "deploy/examples/typescript/README.md",
        "npm ci",
    ): "it asks for a code; test_openapi.py types it",
    ("deploy/guides/connect-telnyx.md", "export COUNTERSIGN_CONFIG"): "rehearsed below it",
}
"""By page and the beginning of the block."""


@dataclass(frozen=True, slots=True)
class Block:
    kind: str
    text: str


def blocks(page: Path, *kinds: str) -> Iterator[Block]:
    """Those of the kinds, in order; all without one."""
    for kind, text in re.findall(
        r"^```([^\n]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        if not kinds or kind in kinds:
            yield Block(kind, text)


def prose(page: Path) -> str:
    """The page without its blocks."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))
