"""What the guides and run-books say that can be judged without running it."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from service.cli.commands import app
from service.settings import Settings
from tests.deploy.pages import DEPLOY, DRAWING, HOST, NOT_RUN, PAGES, ROOT, blocks, name, prose
from tests.harness import make_settings

_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
# At the beginning of a command; elsewhere the word names an image, a namespace or a unit.
_COMMAND = re.compile(
    r"(?:(?<=\n)\s*|(?<=[|&;(]) ?|(?<=-- )|(?<=exec service )|(?<=--rm )|(?<=bin/))"
    r"(countersign [a-z][^|;&)>\n]*)"
)
_ALERTS = (DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")

pages = pytest.mark.parametrize("page", PAGES, ids=name)


@pages
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    kinds = {block.kind for block in blocks(page)}
    assert kinds <= {"sh", HOST, "text", "toml", "python", "html", "kotlin", DRAWING}
    for block in blocks(page, DRAWING):
        assert not re.search(r"^ *(countersign|make|curl|export) ", block.text, re.MULTILINE)


def test_what_is_not_run_has_its_reason() -> None:
    """And nothing else is marked so."""
    marked = [(name(page), block.text) for page in PAGES for block in blocks(page, HOST)]
    for page, text in marked:
        assert any(page == where and text.startswith(start) for where, start in NOT_RUN), text
    for where, start in NOT_RUN:
        assert any(page == where and text.startswith(start) for page, text in marked), start


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link, heading in _LINK.findall(prose(page)):
        target = page.parent / link if link else page
        assert target.exists(), link
        if heading:
            assert heading in _anchors(target), f"{link}#{heading}"


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_target_of_make_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shell = "\n".join(block.text for block in blocks(page, "sh", HOST))
    told = re.findall(r"^make ([a-z-]+)", shell, re.MULTILINE)
    assert {*told, *re.findall(r"`make ([a-z-]+)", prose(page))} <= targets


@pages
def test_alerts_and_metrics_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for alert in re.findall(r"`(Countersign[A-Z]\w+)`", text):
        assert f"alert: {alert}\n" in _ALERTS
    for metric in re.findall(r"`(countersign_\w+_total)`", text):
        assert f"{metric}" in _ALERTS


@pages
def test_configurations_are_read_by_the_settings(page: Path) -> None:
    for block in blocks(page, "toml"):
        changes = tomllib.loads(block.text)
        changes.pop("public_url", None)
        for sender in changes.get("senders", {}).values():
            if "stop_text" in sender and "kind" not in sender:
                sender |= {"kind": "alphanumeric", "from": "Acme", "messaging_profile_id": "p"}
        made = make_settings("redis://127.0.0.1", 1, "http://127.0.0.1", changes)
        assert set(changes) <= made.model_fields_set


@pages
def test_settings_that_the_text_names_are_there(page: Path) -> None:
    """`[section] name` and top-level names in tables."""
    text = page.read_text(encoding="utf-8")
    for path, option in re.findall(r"`\[([a-z_.]+)\](?: (\w+))?", text):
        model = Settings.model_fields
        for part in [*path.split("."), *([option] if option else [])]:
            assert part in model, f"[{path}] {option}"
            model = getattr(model[part].annotation, "model_fields", {})


@pages
def test_every_countersign_command_is_one(page: Path) -> None:
    told = re.findall(r"`(countersign [^`]*)`", page.read_text(encoding="utf-8"))
    shell = "\n".join(block.text for block in blocks(page, "sh", HOST)).replace("\\\n", " ")
    for command in [*told, *_COMMAND.findall(re.sub(r"(^|\s)#.*", "", shell))]:
        _check(command)


def _check(command: str) -> None:
    """Each subcommand and option exists."""
    found: Any = get_command(app)
    for word in shlex.split(command.replace('"', ""))[1:]:
        if word.startswith("--"):
            known = {o for option in found.params for o in (*option.opts, *option.secondary_opts)}
            assert word in known, command
        elif hasattr(found, "commands"):
            assert word in found.commands, command
            found = found.commands[word]


def test_a_command_that_is_none_is_found() -> None:
    for command in ("countersign keyring drop", "countersign audit tail --backwards"):
        with pytest.raises(AssertionError):
            _check(command)


@pages
def test_the_shell_understands_every_block(page: Path) -> None:
    for block in blocks(page, "sh", HOST):
        done = subprocess.run(
            ["/bin/bash", "-n"], input=block.text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_what_the_host_commands_name_is_there() -> None:
    for block in blocks(DEPLOY / "README.md", HOST):
        for path in re.findall(r"\bdeploy/[\w./-]+", block.text):
            made_there = path.startswith(("deploy/secrets", "deploy/countersign-api"))
            assert made_there or (ROOT / path.rstrip("/")).exists(), path
