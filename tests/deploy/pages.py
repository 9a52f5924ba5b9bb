"""The guides and run-books, cut into their fenced blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
PAGES = sorted([DEPLOY / "README.md", *DEPLOY.glob("guides/*.md"), *DEPLOY.glob("runbooks/*.md")])
# What nobody here can run: it is for a machine of the reader's.
HOST = "sh host"


@dataclass(frozen=True, slots=True)
class Block:
    kind: str
    text: str


def blocks(page: Path, *kinds: str) -> Iterator[Block]:
    """Those of the kinds, in order; all without one."""
    for kind, text in re.findall(
        r"^```(\S[^\n]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        if not kinds or kind in kinds:
            yield Block(kind, text)


def name(page: Path) -> str:
    return str(page.relative_to(DEPLOY))
