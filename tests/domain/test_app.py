"""Apps: what is laid over the configuration, and what is kept of a test number's code."""

import base64
import secrets

from service.domain.app import App, FixedCode, open_code, seal_code
from service.domain.code import Code
from service.domain.guard import Limit, Limits, shared_limits
from service.domain.keyring import Keyring

NUMBER, OTHER = "1" * 32, "2" * 32
LOOKUP = secrets.token_bytes(32)


def _ring(*keys: bytes) -> Keyring:
    return Keyring(keys).with_lookup(LOOKUP)


def test_a_sealed_code_opens_after_every_rotation_and_for_its_number_and_app_alone() -> None:
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    kept = FixedCode("+1********99", seal_code(Code("739154"), "shop", NUMBER, _ring(first)))
    assert b"739154" not in base64.b64decode(kept.sealed)
    for ring in (_ring(first), _ring(second, first), _ring(second)):
        opened = open_code(kept, "shop", NUMBER, ring)
        assert opened is not None
        assert opened.reveal() == "739154"
        assert open_code(kept, "shop", OTHER, ring) is None
        assert open_code(kept, "bank", NUMBER, ring) is None
    stranger = Keyring([first]).with_lookup(secrets.token_bytes(32))
    assert open_code(kept, "shop", NUMBER, stranger) is None


def test_only_limits_that_an_app_names_are_counted_apart() -> None:
    base = Limits(prefix=(Limit(5, 60),), client_ip=(Limit(6, 60),))
    app = App(id="shop", limits={"client_ip": (Limit(1, 60),), "prefix": ()})
    keys = shared_limits(
        app.limits_over(base),
        app="shop",
        client_ip="192.0.2.7",
        prefix="+1202555",
        country="US",
        limit_keys={},
    )
    assert [(k.limit, k.value, k.windows) for k in keys] == [
        ("client_ip", "shop|192.0.2.7", (Limit(1, 60),))
    ]
    others = shared_limits(
        App(id="bank").limits_over(base),
        app="bank",
        client_ip="192.0.2.7",
        prefix="+1202555",
        country="US",
        limit_keys={},
    )
    assert [(k.limit, k.value) for k in others] == [
        ("prefix", "+1202555"),
        ("client_ip", "192.0.2.7"),
    ]
