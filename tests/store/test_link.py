"""The connection that all requests share: order, failures, and no wait without an end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.store.link import Link, read_address

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def server(folder: Path, talk: Talk) -> AsyncIterator[Link]:
    """A link to a server that answers as ``talk`` does."""
    path = str(folder / "s")
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        talk(reader, writer)

    listening = await asyncio.start_unix_server(serve, path)
    link = Link(read_address(f"unix://{path}", None), connect_timeout=1.0, answer_timeout=0.2)
    try:
        yield link
    finally:
        link.drop()
        listening.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.fixture
async def link(valkey: str) -> AsyncIterator[Link]:
    link = Link(read_address(valkey, None), connect_timeout=1.0, answer_timeout=2.0)
    yield link
    link.drop()


async def test_each_gets_its_own_answer_in_order(link: Link) -> None:
    questions = [[("ECHO", f"{n}.{m}") for m in range(n % 3)] for n in range(500)]
    answers = await asyncio.gather(*map(link.ask, questions))
    assert answers == [[text for _, text in asked] for asked in questions]


async def test_a_refusal_is_one_reply_among_others(link: Link) -> None:
    replies = await link.ask([("ECHO", "a"), ("EVALSHA", "0" * 40, 0), ("NO-SUCH",), ("ECHO", "b")])
    assert [type(reply) for reply in replies] == [str, NoScriptError, ResponseError, str]


async def test_whoever_is_cancelled_takes_nobody_elses_answer(link: Link) -> None:
    asked = [asyncio.create_task(link.ask([("ECHO", n)])) for n in range(100)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[1::2] == [[str(n)] for n in range(1, 100, 2)]


async def test_a_broken_connection_fails_what_waits_and_is_replaced(link: Link) -> None:
    await link.ask([("PING",)])
    assert link._wire is not None
    waiting = asyncio.create_task(link.ask([("ECHO", "lost")]))
    await asyncio.sleep(0)
    link.drop()
    with pytest.raises(RedisConnectionError):
        await waiting
    assert await link.ask([("ECHO", "again")]) == ["again"]


async def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    async with server(tmp_path, lambda _, __: None) as link:
        with pytest.raises(RedisTimeoutError):
            await link.ask([("PING",)])


async def test_a_server_that_speaks_something_else_is_refused(tmp_path: Path) -> None:
    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with server(tmp_path, greet) as link:
        with pytest.raises(RedisConnectionError):
            await link.ask([("PING",)])


async def test_wrong_credentials_are_an_error_of_the_connection(valkey: str) -> None:
    address = read_address(valkey, None)
    assert address.password is not None
    assert address.password not in repr(address)
    wrong = Link(
        read_address(valkey.replace(address.password, "x" * 32), None),
        connect_timeout=1.0,
        answer_timeout=2.0,
    )
    with pytest.raises(RedisConnectionError, match="credentials"):
        await wrong.ask([("PING",)])
