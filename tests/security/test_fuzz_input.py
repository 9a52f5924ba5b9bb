"""Whatever bytes come in, each reader gives a value or the one error that it names.

``make fuzz`` runs many more examples of the same.
"""

import base64
import json
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from service.domain.code import read_code
from service.domain.guard import network_of
from service.domain.opt_out import read_request
from service.domain.recipient import InvalidNumberError, Recipient, parse_recipient
from service.domain.text import TextError, web_host
from service.domain.verification import Report
from service.settings import SettingsError, load_settings
from service.telnyx.errors import read_errors
from service.telnyx.message import read_message
from service.telnyx.webhook import Ignored, InboundText, WebhookRefusedError, read_webhook
from tests.test_settings import ENVIRON, PUBLIC

KEY = SigningKey(b"k" * 32)
NOW = 1_800_000_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
# Near enough to what Telnyx sends that the reader gets past its first look.
events = st.fixed_dictionaries(
    {"id": json_values | st.just("e")},
    optional={
        "event_type": st.sampled_from(["message.sent", "message.finalized", "message.received"])
        | json_values,
        "occurred_at": st.sampled_from(
            ["2027-01-15T08:00:00Z", "0001-01-01T00:00:00", "9999-12-31"]
        )
        | json_values,
        "payload": st.fixed_dictionaries(
            {},
            optional={
                "id": json_values,
                "to": json_values | st.lists(st.fixed_dictionaries({"status": json_values})),
                "from": json_values | st.fixed_dictionaries({"phone_number": json_values}),
                "text": json_values,
                "errors": json_values,
                "cost": json_values,
            },
        )
        | json_values,
    },
)


def _signed(body: bytes) -> dict[str, str]:
    at = str(NOW // 1000)
    signature = KEY.sign(at.encode() + b"|" + body).signature
    return {
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        "telnyx-timestamp": at,
    }


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_signed_bytes_of_any_kind_are_read_or_ignored(body: bytes) -> None:
    assert isinstance(
        read_webhook(body, _signed(body), [KEY.verify_key], NOW), Report | InboundText | Ignored
    )


@given(events)
def test_events_of_any_shape_are_read_or_ignored(data: object) -> None:
    body = json.dumps({"data": data}).encode()
    assert isinstance(
        read_webhook(body, _signed(body), [KEY.verify_key], NOW), Report | InboundText | Ignored
    )


@given(
    st.binary(),
    st.dictionaries(
        st.sampled_from(["telnyx-signature-ed25519", "telnyx-timestamp", "other"]), st.text()
    ),
)
def test_what_is_not_signed_is_refused(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookRefusedError):
        read_webhook(body, headers, [KEY.verify_key], NOW)


@given(json_values)
def test_answers_of_any_shape_are_read(body: object) -> None:
    assert read_message(body) is None or isinstance(body, dict)
    assert isinstance(read_errors(body), tuple)


@given(st.text() | st.from_regex(r"\+?[0-9]{1,20}", fullmatch=True))
def test_a_number_is_read_or_refused_without_being_shown(text: str) -> None:
    shown = ""
    try:
        found = parse_recipient(text)
    except InvalidNumberError as error:
        shown = str(error)
    else:
        assert isinstance(found, Recipient)
        shown = repr(found)
    assert len(text) < 5 or text not in shown


@given(
    st.text() | st.sampled_from(["stop", "START", "Stop all!"]) | st.text("stop \t!.", max_size=999)
)
def test_a_text_of_any_kind_has_a_verdict(text: str) -> None:
    assert read_request(text) is read_request(f" {text.swapcase()} ") or not text.isascii()


@given(st.text())
def test_a_typed_code_is_digits_or_nothing(text: str) -> None:
    code = read_code(text)
    assert code is None or set(code.reveal()) <= set(string.digits)


@given(st.text())
def test_an_address_is_read_or_refused(text: str) -> None:
    try:
        network_of(text)
    except ValueError:
        return


@given(st.text())
def test_an_origin_is_read_or_refused(text: str) -> None:
    try:
        assert web_host(text).isascii()
    except TextError:
        return


toml_values = st.recursive(
    st.booleans() | st.integers() | st.text(string.printable, max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
).map(json.dumps)


@given(
    st.text(string.printable)
    | st.lists(
        st.tuples(
            st.sampled_from(
                ["app_name", "public_url", "retention", "codes.ttl", "codes.length", "limits.app",
                 "hash.profile", "senders.a.kind", "senders.a.from", "routes", "notices.x", "unknown"]
            ),
            toml_values,
        ),
        unique_by=lambda pair: pair[0],
    ).map(lambda pairs: "\n".join(f"{name} = {value}" for name, value in pairs))
)  # fmt: skip
def test_a_configuration_is_taken_or_every_fault_is_named(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "countersign.toml"
        path.write_text(PUBLIC + text, encoding="utf-8")
        said = ""
        try:
            load_settings(path, ENVIRON)
        except SettingsError as error:
            said = str(error)
        assert "hunter2" not in said
