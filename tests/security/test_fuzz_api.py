"""The API against its own document: whatever is asked, no 500, no hang, no answer outside of it.

Run by ``make fuzz``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.e2e.local import Up

DOCUMENT = Path(__file__).parents[2] / "openapi" / "openapi.json"
EXAMPLES = 60

# What is wrong may also be too large, or meant for an app that has changed.
_REFUSALS = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, "5xx"]
_CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": _REFUSALS}}}
schema = schemathesis.openapi.from_path(
    str(DOCUMENT), config=schemathesis.Config.from_dict(_CONFIG)
)
_EXCEPT = [
    # No schema can say which numbers and events exist: what has the right form may be refused.
    schemathesis.checks.positive_data_acceptance,
    # The framework's answer to OPTIONS names the methods of one of a path's handlers.
    schemathesis.checks.allow_header_conformance,
]
_UNKNOWN_HEADER = "x-schemathesis-unknown-property"
_key = {"value": ""}


@schema.auth()
class ApiKey:
    """A header of schemathesis' own, so that it also asks without one."""

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        return _key["value"]

    def set(
        self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext
    ) -> None:
        case.headers["authorization"] = f"Bearer {data}"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("fuzz")
    config = folder / "fuzz.toml"
    built_in = Path(__file__).parents[2] / "service" / "cli" / "up.toml"
    # A wrong key is tried at each path, more often than a caller may be wrong.
    text = built_in.read_text(encoding="utf-8").replace("app = []", 'failed_keys = "9999/60"')
    config.write_text(text + '\n[hash]\nprofile = "minimum"\n', encoding="utf-8")
    running = Up(folder)
    running.start(config)
    _key["value"] = running.env["COUNTERSIGN_API_KEY"]
    yield running
    running.stop()


@pytest.mark.fuzz
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_in_the_document(case: schemathesis.Case[Any], up: Up) -> None:
    if _UNKNOWN_HEADER in (case.headers or {}):
        return  # RFC 9110 section 5.1: a header that is not known is ignored, not refused
    case.call_and_validate(
        base_url=up.env["COUNTERSIGN_URL"],
        timeout=20,
        excluded_checks=_EXCEPT,
    )
