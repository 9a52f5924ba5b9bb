"""A caller's address: whose word counts, and what is refused at start."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from service.cli.proxies import behind, check_proxies
from service.clock import ManualClock
from service.settings import Settings, SettingsError, load_settings
from tests.harness import UP_TOML
from tests.test_settings import ENVIRON

HTTPS = "https://otp.example.com"


def _settings(folder: Path, http: str = "", public_url: str = HTTPS) -> Settings:
    path = folder / "countersign.toml"
    text = UP_TOML.read_text(encoding="utf-8")
    path.write_text(f'public_url = "{public_url}"\n{text}\n{http}', encoding="utf-8")
    return load_settings(path, ENVIRON)


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "10.1.2.3", "otp.internal"])
def test_https_on_an_open_address_needs_the_setting(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        check_proxies(_settings(tmp_path), host)
    check_proxies(_settings(tmp_path, '[http]\ntrusted_proxies = "none"'), host)
    check_proxies(_settings(tmp_path, '[http]\ntrusted_proxies = ["10.0.0.0/8"]'), host)
    check_proxies(_settings(tmp_path, public_url="http://127.0.0.1:8000"), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_nothing(tmp_path: Path, host: str) -> None:
    check_proxies(_settings(tmp_path), host)


@pytest.mark.parametrize("networks", ['["*"]', '["0.0.0.0/0"]', '["::/0"]', '["proxy"]', '"*"'])
def test_everybody_is_no_proxy(tmp_path: Path, networks: str) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        _settings(tmp_path, f"[http]\ntrusted_proxies = {networks}")


def _seen(trusted: list[str] | str | None, peer: str, *forwarded: str) -> str:
    """The address that the application sees."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    scope = {
        "type": "http",
        "client": (peer, 1),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    wrapped = behind(app, trusted, ManualClock(time.time_ns() // 1_000_000))
    asyncio.run(wrapped(scope, None, None))  # type: ignore[arg-type]
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("10.0.0.1", ("192.0.2.7",), "192.0.2.7"),
        ("10.0.0.1", ("1.1.1.1, 192.0.2.7",), "192.0.2.7"),
        ("10.0.0.1", ("1.1.1.1, 192.0.2.7, 10.0.0.2",), "192.0.2.7"),
        ("10.0.0.1", ("1.1.1.1", "192.0.2.7"), "192.0.2.7"),
        ("::ffff:10.0.0.1", ("192.0.2.7",), "192.0.2.7"),
        ("198.51.100.1", ("192.0.2.7",), "198.51.100.1"),
        ("10.0.0.1", (), "10.0.0.1"),
    ],
)
def test_the_right_most_that_is_no_proxy_counts(
    peer: str, forwarded: tuple[str, ...], seen: str
) -> None:
    assert _seen(["10.0.0.0/8"], peer, *forwarded) == seen


@pytest.mark.parametrize(("trusted", "warnings"), [("none", 0), (None, 1)])
def test_without_proxies_the_socket_counts(
    trusted: str | None, warnings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    class Log:
        def warning(self, event: str, **_: str) -> None:
            said.append(event)

    monkeypatch.setattr("service.cli.proxies.log", Log())
    assert _seen(trusted, "198.51.100.1", "192.0.2.7") == "198.51.100.1"
    assert said == ["proxy.not_trusted"] * warnings
