"""What Telnyx's answers become, against servers that answer in every bad way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from service.domain.plan import Sender, SenderKind
from service.domain.verification import Accepted, Fault, NotSent, Outcome, Refused, Uncertain
from service.telnyx.client import TelnyxClient
from service.telnyx.http import TelnyxConfig
from tests.harness import free_port

SENDER = Sender(name="long", kind=SenderKind.LONG_CODE, from_="+18445550001")
Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = '{"data": {"id": "m", "wait_seconds": 2.5, "to": [{"status": "queued"}], "new": 1}}'


@asynccontextmanager
async def answering(respond: Respond, heads: list[bytes] | None = None) -> AsyncIterator[int]:
    """A server that reads a request and then does as told; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if heads is not None:
            heads.append(head)
        try:
            await respond(writer)
        finally:
            writer.close()
            await writer.wait_closed()
            served.set()

    served, port = asyncio.Event(), free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield port
        async with asyncio.timeout(5):
            await served.wait()


async def _send(port: int, sender: Sender = SENDER) -> Outcome:
    config = TelnyxConfig(
        base_url=f"http://127.0.0.1:{port}/v2", api_key="k", connect_timeout=0.5, read_timeout=0.3
    )
    client = TelnyxClient(config)
    try:
        return await client.send(
            sender, to="+12025550123", text="t", webhook_url="http://h/", now=lambda: 7
        )
    finally:
        await client.close()


def _http(
    status: str, body: str, *headers: str
) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def respond(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", body]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()

    return respond


def _error(code: str, title: str = "t") -> str:
    return f'{{"errors": [{{"code": "{code}", "title": "{title}"}}]}}'


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        ("200 OK", OK, (), Accepted(7, "m", 2.5)),
        ("200 OK", "<html>", (), Uncertain(7)),
        ("400 Bad", _error("40305"), (), Fault.SENDER),
        ("400 Bad", _error("40310"), (), Fault.RECIPIENT),
        ("409 Conflict", _error("40300"), (), Fault.OPTED_OUT),
        ("400 Bad", _error("40333"), (), Fault.BLOCKED),
        ("400 Bad", _error("99999"), (), Fault.OTHER),
        ("403 No", '{"code": "20012", "title": "bare"}', (), Fault.SENDER),
        ("418 Teapot", "?", (), Fault.OTHER),
        ("302 Found", "", ("location: /",), Fault.OTHER),
        ("429 Slow", _error("10011"), ("retry-after: 2",), 2_000),
        ("429 Slow", "", ("x-ratelimit-reset: 3",), 3_000),
        ("429 Slow", "", (), 1_000),
    ],
)
async def test_an_answer_becomes_an_outcome(
    status: str, body: str, headers: tuple[str, ...], expected: object
) -> None:
    async with answering(_http(status, body, *headers)) as port:
        outcome = await _send(port)
    match expected:
        case Fault():
            assert isinstance(outcome, Refused)
            assert outcome.fault is expected
        case int():
            assert isinstance(outcome, NotSent)
            assert outcome.retry_after == expected
        case _:
            assert outcome == expected


@pytest.mark.parametrize("status", ["500 Oops", "503 Away", "408 Timeout"])
async def test_a_server_error_may_have_made_a_message(status: str) -> None:
    async with answering(_http(status, _error("10007"))) as port:
        assert isinstance(await _send(port), Uncertain)


async def test_a_lost_answer_may_have_made_a_message() -> None:
    async def close(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")

    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)

    async def garbage(writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\xff\x00 what\r\n\r\n")

    for respond in (close, silence, garbage):
        async with answering(respond) as port:
            assert isinstance(await _send(port), Uncertain)


@pytest.mark.parametrize(
    ("kind", "profile", "path"),
    [
        (SenderKind.LONG_CODE, None, "/v2/messages/long_code"),
        (SenderKind.SHORT_CODE, None, "/v2/messages/short_code"),
        (SenderKind.LONG_CODE, "p", "/v2/messages"),
        (SenderKind.NUMBER_POOL, "p", "/v2/messages/number_pool"),
        (SenderKind.ALPHANUMERIC, "p", "/v2/messages/alphanumeric_sender_id"),
    ],
)
async def test_each_kind_of_sender_has_its_endpoint(
    kind: SenderKind, profile: str | None, path: str
) -> None:
    heads: list[bytes] = []
    sender = Sender(name="s", kind=kind, from_="f", messaging_profile_id=profile)
    async with answering(_http("200 OK", OK), heads) as port:
        assert isinstance(await _send(port, sender), Accepted)
    assert heads[0].split(b" ")[1].decode() == path


async def test_a_refused_connection_made_none() -> None:
    assert isinstance(await _send(free_port()), NotSent)
