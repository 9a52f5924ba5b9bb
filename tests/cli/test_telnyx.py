"""``countersign telnyx`` at a terminal and in a script, over the sandbox."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app
from tests.harness import free_port, serving
from tests.sandbox.conftest import API_KEY, LONG, PROFILE, Sandbox, running
from tests.telnyx.counting import Counting

Command = Callable[..., Awaitable[Result]]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as found:
        yield found


@pytest.fixture
def run(sandbox: Sandbox) -> Command:
    base_url = f"{str(sandbox.api.base_url).rstrip('/')}/v2"
    env = {
        "TELNYX_API_KEY": API_KEY,
        "COUNTERSIGN_TELNYX_BASE_URL": base_url,
        "COLUMNS": "200",
        "TERM": "dumb",
    }

    async def invoke(*arguments: str, answer: str = "", **changes: str) -> Result:
        def in_thread() -> Result:
            return CliRunner().invoke(app, ["telnyx", *arguments], input=answer, env=env | changes)

        return await asyncio.to_thread(in_thread)

    return invoke


async def test_a_list_is_a_table_for_people_and_lines_for_scripts(run: Command) -> None:
    table = await run("numbers", "list")
    assert table.exit_code == 0, table.output
    assert LONG in table.stdout
    assert "number" in table.stdout
    lines = (await run("numbers", "list", "--json")).stdout.splitlines()
    assert LONG in [json.loads(line)["phone_number"] for line in lines]


@pytest.mark.parametrize(
    "arguments",
    [
        ("senders", "list"),
        ("senders", "list", "--profile", PROFILE),
        ("numbers", "show", LONG),
        ("numbers", "update", LONG, "--tag", "codes"),
        ("profiles", "list"),
        ("profiles", "show", PROFILE),
        ("metrics",),
        ("metrics", PROFILE, "--time-frame", "1h"),
        ("opt-outs", "--profile", PROFILE),
        ("lookup", "+12025550123"),
        ("autoresponses", "list", PROFILE),
        ("messages", "send", "+12025550123", "--kind", "long_code", "--from", LONG, "--text", "Hi"),
        ("messages", "send-group", "+12025550123", "+12025550124", "--from", LONG, "--text", "Hi"),
        (
            *("messages", "send-whatsapp", "+12025550123", "--from", LONG),
            *("--template", "code", "--language", "en_US"),
        ),
    ],
    ids=" ".join,
)
async def test_each_command_answers_in_both_forms(run: Command, arguments: tuple[str, ...]) -> None:
    for form in ((), ("--json",)):
        result = await run(*arguments, *form)
        assert result.exit_code == 0, result.output
        for line in result.stdout.splitlines() if form else ():
            json.loads(line)


async def test_what_cannot_be_undone_is_asked_for(run: Command) -> None:
    made = json.loads(
        (await run("senders", "create", "Shop", "--profile", PROFILE, "--json")).stdout
    )
    assert (await run("senders", "delete", made["id"], answer="n\n")).exit_code == 1
    assert (await run("senders", "show", made["id"])).exit_code == 0
    assert (await run("senders", "delete", made["id"], "--yes")).exit_code == 0
    gone = await run("senders", "show", made["id"])
    assert gone.exit_code == 1
    assert "Telnyx answered 404" in gone.stderr
    assert "Check the id" in gone.stderr


async def test_a_new_secret_is_shown_once_and_only_that(run: Command) -> None:
    shown = await run("regenerate-secret", PROFILE, "--yes")
    assert shown.exit_code == 0, shown.output
    (secret,) = shown.stdout.split()
    assert shown.stderr == ""
    for form in ((), ("--json",)):
        for arguments in (("profiles", "show", PROFILE), ("profiles", "list")):
            found = await run(*arguments, *form)
            assert found.exit_code == 0
            assert secret not in found.output


async def test_a_scheduled_message_is_canceled(run: Command) -> None:
    made = await run(
        *("messages", "schedule", "+12025550123", "--from", LONG, "--text", "Hi", "--json"),
        *("--at", _in_an_hour()),
    )
    id_ = json.loads(made.stdout)["id"]
    canceled = await run("messages", "cancel", id_, "--yes", "--json")
    assert json.loads(canceled.stdout)["to"][0]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("messages", "send", "+1202", "--kind", "fax"), "--kind must be"),
        (("messages", "send", "+12025550123", "--kind", "long_code"), "from"),
        (("numbers", "update", LONG), "nothing to change"),
        (("metrics", "--time-frame", "1y"), "--time-frame must be"),
        (("autoresponses", "apply"), "[[autoresponses]]"),
        (
            (
                "autoresponses",
                "create",
                PROFILE,
                "--op",
                "stop",
                "--keyword",
                "X",
                "--text",
                "short",
            ),
            "resp_text",
        ),
        (
            ("autoresponses", "create", PROFILE, "--op", "stop", "--keyword", "start"),
            "start always means start",
        ),
        (("senders", "delete", "", "--yes"), "An id is empty"),
    ],
)
async def test_a_fault_is_named(run: Command, arguments: tuple[str, ...], said: str) -> None:
    result = await run(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


async def test_a_wrong_key_says_what_to_do_and_is_not_shown(run: Command) -> None:
    result = await run("profiles", "list", TELNYX_API_KEY="KEYwrong")
    assert result.exit_code == 1
    assert "Check TELNYX_API_KEY" in result.stderr
    assert "KEYwrong" not in result.output


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (400, "40305", "Assign the number to the messaging profile"),
        (401, "10009", "Check TELNYX_API_KEY"),
        (402, "20100", "Add funds"),
        (403, "99999", "lacks the permission"),
        (404, "99999", "Check the id"),
        (409, "40300", "only their START lifts it"),
        (422, "10016", "E.164"),
        (429, "10011", "It asks to wait for 7 s."),
        (500, "10007", "look before you repeat it"),
    ],
)
async def test_a_refusal_says_what_to_do(run: Command, status: int, code: str, advice: str) -> None:
    error = {"code": code, "title": "Title", "detail": "Detail", "source": {"pointer": "/to"}}
    telnyx, port = Counting(status, {"errors": [error]}, retry_after="7"), free_port()
    async with serving(telnyx.app(), port):
        result = await run(
            *("messages", "send", "+12025550123", "--from", LONG, "--text", "Hi", "--json"),
            COUNTERSIGN_TELNYX_BASE_URL=f"http://127.0.0.1:{port}/v2",
        )
    assert (result.exit_code, result.stdout, telnyx.asked) == (1, "", 1)
    said = f"countersign: Telnyx answered {status}: {code} at /to Title, Detail. "
    assert result.stderr.startswith(said)
    assert advice in result.stderr


async def test_what_a_stranger_wrote_does_not_reach_the_terminal_as_a_command(
    run: Command,
) -> None:
    evil = "\x1b]0;owned\x07[red]x[/] \x9b2J"
    sent = await run("messages", "send", "+12025550123", "--from", LONG, "--text", evil)
    assert sent.exit_code == 0, sent.output
    assert "]0;owned" in sent.stdout
    assert "[red]x[/]" in sent.stdout
    assert not {"\x1b", "\x07", "\x9b"} & set(sent.stdout)


async def test_a_numbers_tags_are_set_and_taken_away(run: Command) -> None:
    tagged = await run("numbers", "update", LONG, "--tag", "codes", "--tag", "us", "--json")
    assert json.loads(tagged.stdout)["tags"] == ["codes", "us"]
    bare = await run("numbers", "update", LONG, "--tag", "", "--json")
    assert json.loads(bare.stdout)["tags"] == []


async def test_a_key_that_is_none_is_said_so_and_not_shown(run: Command) -> None:
    for key in ("KEYwrong\n", "KEYwröng", "KEY wrong"):
        result = await run("profiles", "list", TELNYX_API_KEY=key)
        assert result.exit_code == 1
        assert "TELNYX_API_KEY: has a character" in result.stderr
        assert "wr" not in result.stderr


async def test_no_key_is_said_so(run: Command) -> None:
    result = await run("profiles", "list", TELNYX_API_KEY="")
    assert result.exit_code == 1
    assert "TELNYX_API_KEY" in result.stderr


async def test_a_word_that_stands_twice_is_refused_before_telnyx_is_asked(
    run: Command, tmp_path: Path
) -> None:
    config = tmp_path / "countersign.toml"
    one = (
        f'[[autoresponses]]\nmessaging_profile_id = "{PROFILE}"\nop = "{{}}"\nkeywords = ["{{}}"]\n'
    )
    config.write_text(one.format("info", "AIDE") + one.format("stop", "aide"))
    result = await run("autoresponses", "apply", "--config", str(config))
    assert result.exit_code == 1
    assert "aide stands twice" in result.stderr


async def test_auto_responses_are_shown_asked_for_and_applied(run: Command, tmp_path: Path) -> None:
    config = tmp_path / "countersign.toml"
    config.write_text(
        f'[[autoresponses]]\nmessaging_profile_id = "{PROFILE}"\nop = "info"\n'
        'keywords = ["AIDE"]\nresp_text = "Acme sends you codes and nothing else."\n'
    )
    apply = ("autoresponses", "apply", "--config", str(config))
    dry = await run(*apply, "--dry-run")
    assert "create" in dry.stdout
    assert "AIDE" in dry.stdout
    refused = await run(*apply, answer="n\n")
    assert refused.exit_code == 1
    assert "AIDE" not in (await run("autoresponses", "list", PROFILE)).stdout
    assert "1 change(s) made" in (await run(*apply, "--yes")).stdout
    assert "AIDE" in (await run("autoresponses", "list", PROFILE)).stdout
    again = await run(*apply)
    assert again.exit_code == 0
    assert "same" in again.stdout


def _in_an_hour() -> str:
    return (datetime.now() + timedelta(hours=1)).isoformat(timespec="seconds")  # noqa: DTZ005
