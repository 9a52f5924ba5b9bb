"""The commands of all pages, as they stand, against `countersign up`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.deploy.pages import DEPLOY, PAGES, ROOT, Block, blocks, name
from tests.e2e.local import Up
from tests.harness import free_port

# The examples have a test of their own.
RUN = [p for p in PAGES if any(blocks(p, "sh")) and "examples" not in p.parts]
_SAID = "--- end of block"

# Stands for systemd: starts a process with the keyring as it is now, and ends it once it answers.
_SYSTEMCTL = f"""#!/bin/bash
set -eu
test "$*" = "restart countersign"
{sys.executable} -m service serve --port "$SPARE_PORT" 2> /dev/null & pid=$!
until curl -sf -o /dev/null "http://127.0.0.1:$SPARE_PORT/readyz"; do kill -0 $pid; sleep 0.1; done
kill $pid; wait $pid
"""

_ORIGIN = "https://shop.example/"
_PHONE = """
window.OTPCredential = class {};
const get = async (asked) => { window.asked = asked; return { code: "123456" }; };
Object.defineProperty(navigator, "credentials", { value: { get } });
document.addEventListener("submit", (event) => {
  event.preventDefault();
  window.sent = new FormData(event.target).get("code");
});
"""

pytestmark = pytest.mark.deploy


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """As somebody has it who ran `make run` in a checkout."""
    up = Up(tmp_path_factory.mktemp("guides"))
    (up.folder / ".venv").symlink_to(sys.prefix)
    bin_ = up.folder / "bin"
    bin_.mkdir()
    (bin_ / "systemctl").write_text(_SYSTEMCTL, encoding="utf-8")
    (bin_ / "systemctl").chmod(0o755)
    up.start()
    yield up
    up.stop()


@pytest.mark.parametrize("page", RUN, ids=name)
def test_a_page_works_as_it_stands(page: Path, stack: Up) -> None:
    """One shell for the page, as for its reader; what a `text` block says must begin lines of the output
    of the commands before it."""
    script, expected = _script(page)
    keys = stack.data / "secrets" / "keys"
    before = keys.read_bytes()
    try:
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            cwd=stack.folder,
            env={
                "PATH": f"{stack.folder / 'bin'}:{os.environ['PATH']}",
                "HOME": str(stack.folder),
                "PYTHONPATH": str(ROOT),
                "SPARE_PORT": str(free_port()),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        keys.write_bytes(before)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.split(f"{_SAID}\n")
    for number, wanted in expected.items():
        lines = said[number].splitlines()
        for line in wanted.splitlines():
            assert any(found.startswith(line) for found in lines), said[number]


def _script(page: Path) -> tuple[str, dict[int, str]]:
    """All that is run, in order, and what the output of which block must have."""
    parts: list[str] = []
    expected: dict[int, str] = {}
    for block in blocks(page, "sh", "python", "text"):
        if block.kind == "text":
            expected[len(parts) - 1] = block.text
        else:
            parts.append(f"{_runnable(block)}\necho; echo '{_SAID}'\n")
    return "".join(parts), expected


def _runnable(block: Block) -> str:
    if block.kind == "sh":
        return block.text
    return f"python -W error::SyntaxWarning - <<'PYTHON'\n{block.text}PYTHON\n"


async def test_the_web_page_fills_the_code_in_and_sends_it() -> None:
    """In a browser that has no phone: what the page asks it for is answered by this test."""
    (block,) = blocks(DEPLOY / "guides" / "mobile-autofill.md", "html")
    async with chromium() as browser:
        page = await browser.new_page()
        await page.add_init_script(_PHONE)
        await page.route(
            _ORIGIN, lambda route: route.fulfill(body=block.text, content_type="text/html")
        )
        await page.goto(_ORIGIN)
        await page.wait_for_function("window.sent === '123456'", timeout=5_000)
        assert await page.evaluate("window.asked.otp.transport") == ["sms"]
        assert await page.get_attribute("input", "autocomplete") == "one-time-code"
