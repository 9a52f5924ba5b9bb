"""The least that such a service can do: a Litestar route that runs one script in Redis."""

import sys

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, Response, get, post
from redis.asyncio import BlockingConnectionPool, Redis

_SCRIPT = "return redis.call('INCR', KEYS[1])"


async def serve(port: int, url: str) -> None:
    redis = Redis.from_pool(BlockingConnectionPool.from_url(url, max_connections=64))
    sha = await redis.script_load(_SCRIPT)

    @get("/readyz")
    async def ready() -> str:
        return "{}"

    @post("/", status_code=200)
    async def count(data: dict[str, str]) -> Response[bytes]:
        found = await redis.evalsha(sha, 1, f"bare:{data['to']}")
        return Response(b'{"found":%d}' % found, media_type="application/json")

    app = Litestar([ready, count], openapi_config=None, logging_config=None)
    server = Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False
    )
    await server.serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
