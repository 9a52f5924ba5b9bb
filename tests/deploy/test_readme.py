"""The README: five minutes, and nothing in it that is not so. Its curl session is run by test_guides.py and
tests/e2e/test_up.py."""

import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from service.sandbox.scenarios import OUTCOMES
from tests.browser import chromium
from tests.deploy.pages import DEPLOY, ROOT
from tests.deploy.picture import HEIGHT, PICTURE, WIDTH, take
from tests.harness import PATIENCE, World, free_port

README = ROOT / "README.md"
LONGEST, LARGEST = 150, 100_000
_IN_ORDER = ("make run", "dev.env", "inbox.png", "**Login flows**", "## Speed", "## Task by task")


def test_it_is_read_in_five_minutes_and_begins_with_what_runs() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    places = [text.index(part) for part in _IN_ORDER]
    assert places == sorted(places)
    assert re.search(r"<!-- bench: begin -->\n(.*\n)*<!-- bench: end -->", text)


def test_every_guide_is_reached_from_it() -> None:
    text = README.read_text(encoding="utf-8")
    for guide in DEPLOY.glob("guides/*.md"):
        assert f"(deploy/guides/{guide.name})" in text


def test_the_table_of_magic_numbers_is_the_sandboxs() -> None:
    table = (DEPLOY / "guides" / "sandbox.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\d{4})` \|", table, re.MULTILINE)) == set(OUTCOMES)


@pytest.mark.deploy
async def test_its_picture_is_what_the_inbox_looks_like(app: World) -> None:
    async with chromium() as browser:
        made = await take(browser, app)
    for png in (made, PICTURE.read_bytes()):
        assert png.startswith(b"\x89PNG")
        assert struct.unpack(">II", png[16:24]) == (WIDTH, HEIGHT)
        assert len(png) < LARGEST


@pytest.mark.deploy
def test_make_run_does_what_it_says(tmp_path: Path) -> None:
    ports = f"--port {free_port()} --sandbox-port {free_port()}"
    command = ["make", "--no-print-directory", "run", f"ARGS={ports} --data {tmp_path}"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 4 * PATIENCE
    while not (tmp_path / "dev.env").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # As Ctrl-C does: make and all that it started hear it.
    subprocess.run(["/bin/kill", f"-{signal.SIGINT}", "--", f"-{process.pid}"], check=True)
    said, _ = process.communicate(timeout=2 * PATIENCE)
    assert "http://127.0.0.1:" in said
