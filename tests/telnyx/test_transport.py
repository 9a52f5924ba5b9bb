"""What carries requests to Telnyx: kept connections, closed ones, TLS, and answers that are none."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from service.telnyx.transport import Transport

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is made at once
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(
    talk: Talk,
    *,
    server_tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    patience: float = 15,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that talks as told; ``patience``: its timeout, in seconds."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_tls)
    port = server.sockets[0].getsockname()[1]
    scheme = "http" if server_tls is None else "https"
    transport = Transport(tls=client_tls or _NO_TLS, connections=4)
    try:
        async with httpx.AsyncClient(
            transport=transport, base_url=f"{scheme}://localhost:{port}", timeout=patience
        ) as client:
            yield client
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        for _ in range(10):  # a handshake that failed ends in turns of the loop
            await asyncio.sleep(0)


async def request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(sizes[0].split(b":")[1])) if sizes else b"")


async def test_a_connection_is_kept() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await request(reader)
            writer.write(ANSWER)

    async with talking(talk) as client:
        for _ in range(5):
            assert (await client.post("/", json={"a": "b" * 100_000})).text == "ok"
    assert connections == 1


async def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(ANSWER)
        writer.close()

    async with talking(talk) as client:
        for _ in range(5):
            assert (await client.get("/")).text == "ok"
            await asyncio.sleep(0.02)  # the end has to arrive


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", httpx.ReadTimeout),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", httpx.ReadTimeout),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", httpx.RemoteProtocolError),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 9_000_000,
            httpx.ReadError,
        ),
    ],
)
async def test_what_is_no_answer_is_an_error(said: bytes, error: type[Exception]) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(said)
        await reader.read()

    patience = 0.3 if error is httpx.ReadTimeout else 15
    async with talking(talk, patience=patience) as client:
        with pytest.raises(error):
            await client.get("/")


async def test_an_end_in_the_middle_is_an_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        writer.close()

    async with talking(talk) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_no_server_is_a_connect_error() -> None:
    async with httpx.AsyncClient(transport=Transport(tls=_NO_TLS, connections=1)) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")


async def test_tls_is_checked_against_the_name(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(  # noqa: ASYNC221
        [  # noqa: S607 - whichever openssl this machine has
            "openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            writer.write(ANSWER)

    async with talking(talk, server_tls=server_tls, client_tls=trusting) as client:
        assert (await client.post("/", content=b"x" * 300_000)).text == "ok"
        with pytest.raises(httpx.ConnectError):
            await client.get(f"https://127.0.0.1:{client.base_url.port}/")
    async with talking(talk, server_tls=server_tls) as stranger:
        with pytest.raises(httpx.ConnectError):
            await stranger.get("/")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",  # it ends with the connection
    ],
)
async def test_an_answer_is_whole_however_it_is_framed(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        for byte in said:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        writer.close()

    async with talking(talk) as client:
        answer = await client.get("/")
        assert (answer.status_code, answer.text) == (200, "ok")


async def test_what_nobody_asked_for_is_no_answer_to_the_next() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await request(reader)
        writer.write(ANSWER + ANSWER.replace(b"ok", b"no"))
        await reader.read()

    async with talking(talk) as client:
        for _ in range(3):
            assert (await client.get("/")).text == "ok"
    assert connections == 3


async def test_a_line_break_in_a_header_makes_no_second_request() -> None:
    async with talking(_silent) as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("/", headers={"x": "a\r\n\r\nGET /second HTTP/1.1"})


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()
