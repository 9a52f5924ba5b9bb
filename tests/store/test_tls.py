"""TLS to Redis: the certificate is always checked, against the CA that is named."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from service.domain.errors import UnavailableError
from service.settings import RedisSection, SettingsError, load_store
from service.store import connection as store_connection
from service.store.connection import Connection, StoreSetupError, Tls
from tests.harness import free_port


def _options(url: str, tls: Tls) -> dict[str, Any]:
    return store_connection._options(urlsplit(url), tls)


def test_the_files_are_handed_on_and_checks_stay_on() -> None:
    given = _options("rediss://h", Tls("ca.pem", "cert.pem", "key.pem"))
    assert {name: value for name, value in given.items() if name.startswith("ssl")} == {
        "ssl_ca_certs": "ca.pem",
        "ssl_certfile": "cert.pem",
        "ssl_keyfile": "key.pem",
    }


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("rediss://h?ssl_cert_reqs=none", Tls()),
        ("rediss://h?ssl_check_hostname=false", Tls()),
        ("redis://h", Tls(ca_file="ca.pem")),
        ("unix:///tmp/socket", Tls(ca_file="ca.pem")),
    ],
)
def test_nothing_switches_a_check_off(url: str, tls: Tls) -> None:
    with pytest.raises(StoreSetupError, match=r"\[redis\]"):
        _options(url, tls)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    config = tmp_path / "countersign.toml"
    config.write_text('[redis]\nca_file = "/nowhere/ca.pem"\n')
    environ = {"REDIS_URL": "rediss://h", "COUNTERSIGN_CONFIG": str(config)}
    with pytest.raises(SettingsError, match="ca_file: is no file that can be read"):
        load_store(environ)
    config.write_text(f'[redis]\ncert_file = "{config}"\n')
    with pytest.raises(SettingsError, match="needs both"):
        load_store(environ)
    config.write_text(f'[redis]\nca_file = "{config}"\n')
    assert load_store(environ) == ("rediss://h", Tls(ca_file=str(config)))
    assert RedisSection().ca_file is None


def _make_certificate(folder: Path, name: str) -> tuple[str, str]:
    """A self-signed certificate for localhost, and its key."""
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    subprocess.run(
        [  # noqa: S607 - whichever openssl this machine has
            "openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-out", certificate, "-keyout", key,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


@asynccontextmanager
async def _tls_in_front_of(valkey: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server that speaks TLS and passes everything on to Valkey, which here has none."""
    copying: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_unix_connection(urlsplit(valkey).path)
        for ends in ((reader, outer), (inner, writer)):
            copying.add(asyncio.create_task(copy(*ends)))

    port = free_port()
    server = await asyncio.start_server(pass_on, "127.0.0.1", port, ssl=context)
    try:
        yield port
    finally:
        server.close()
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)


async def test_a_real_server_must_show_the_certificate_of_our_ca(
    valkey: str, tmp_path: Path
) -> None:
    certificate, key = _make_certificate(tmp_path, "server")
    stranger, _ = _make_certificate(tmp_path, "stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED  # the client shows a certificate too
    async with _tls_in_front_of(valkey, context) as port:
        password = urlsplit(valkey).password
        url = f"rediss://:{password}@localhost:{port}/0"
        connection = await Connection.open(url, Tls(certificate, certificate, key))
        assert await connection.command("PING")
        await connection.close()
        for tls in (Tls(), Tls(stranger, certificate, key)):
            with pytest.raises(UnavailableError):
                await Connection.open(url, tls)
        by_address = url.replace("localhost", "127.0.0.1")
        with pytest.raises(UnavailableError):  # the certificate is not that address's
            await Connection.open(by_address, Tls(certificate, certificate, key))
