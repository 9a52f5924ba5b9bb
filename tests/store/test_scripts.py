"""The contract between a script's header and its callers."""

from importlib import resources

import pytest

from service.store.scripts import load_scripts
from tests.store.stores import Stores


def test_every_script_says_what_it_does_and_replies() -> None:
    for script in load_scripts().values():
        assert script.keys, script.name


def test_every_script_is_short_enough_to_read() -> None:
    for entry in (resources.files("service.store") / "lua").iterdir():
        if entry.name.endswith(".lua"):
            assert len(entry.read_text().splitlines()) <= 60, entry.name


async def test_a_call_with_other_names_never_reaches_the_server(stores: Stores) -> None:
    with pytest.raises(TypeError, match=r"wait\.lua takes keys"):
        await stores.scripts.run("wait", {"record": "a"}, {})
