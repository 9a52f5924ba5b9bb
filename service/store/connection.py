"""The connection to Redis or Valkey: one server or a Cluster, with timeouts, and its start-up checks.

Retries are off: after a lost answer a script may or may not have run, and only the caller knows
what a second run would mean.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

import structlog
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from service.domain.errors import UnavailableError
from service.store.link import Command, Link, read_address

CONNECT_TIMEOUT = 1.0
ANSWER_TIMEOUT = 2.0
POOL_TIMEOUT = 1.0
CONNECTIONS = 64
_CLUSTER_AT_ONCE = 64  # each takes a connection, and a node's are limited
_RETRY_AFTER = 1
_SCAN_STEP = 500
MIN_REDIS = (6, 2)

log = structlog.get_logger(__name__)


class StoreSetupError(Exception):
    """The server cannot be used as it is; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for ``rediss://``: the CA to trust in the place of the system's, and a client certificate
    with its key. The server's certificate and name are always checked; nothing switches that off."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Connection:
    """Commands to the server. Whatever goes wrong on the way is an ``UnavailableError``."""

    def __init__(
        self,
        client: "Redis[str] | RedisCluster[str]",  # type: ignore[type-arg]
        link: Link | None,
    ) -> None:
        self._client = client
        self._link = link

    @classmethod
    async def open(cls, url: str, tls: Tls | None = None) -> "Connection":
        """Connect to ``redis://``, ``rediss://`` or ``unix://`` (one server), or to
        ``redis+cluster://`` / ``rediss+cluster://``.

        Raises:
            UnavailableError: the server does not answer.
            StoreSetupError: the URL has another scheme, or says what belongs into ``tls``.
        """
        connection = cls(*_clients(url, tls or Tls()))
        try:
            await connection.ping()
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def delay(self) -> float:
        """Seconds that the oldest question waits for its answer (of a Cluster it is not known: 0)."""
        return self._link.delay if self._link is not None else 0.0

    async def ping(self) -> None:
        # The first use of a Cluster client must not be concurrent (redis-py 8.1 fails then).
        if isinstance(self._client, RedisCluster):
            await self._guard(self._client.initialize())
        await self.command("PING")

    async def close(self) -> None:
        if self._link is not None:
            self._link.drop()
        await self._client.aclose()

    async def command(self, *parts: str | float | bytes) -> Any:
        """Run one command. Raises NoScriptError if it names a script that the server does not know."""
        if self._link is None:
            return await self._guard(self._client.execute_command(*parts))
        (reply,) = await self._guard(self._ask(self._link, [parts]))
        return reply

    async def commands(self, batch: Sequence[Command]) -> list[Any]:
        """Several independent commands in one round trip (on a Cluster: one to each server)."""
        if self._link is None:
            found: list[Any] = []
            for start in range(0, len(batch), _CLUSTER_AT_ONCE):
                some = batch[start : start + _CLUSTER_AT_ONCE]
                found += await asyncio.gather(*(self.command(*parts) for parts in some))
            return found
        return cast("list[Any]", await self._guard(self._ask(self._link, batch)))

    async def _ask(self, link: Link, batch: Sequence[Command]) -> list[Any]:
        """The replies of all; the first error among them is raised, a missing script last."""
        replies = await link.ask(batch)
        refused = [reply for reply in replies if isinstance(reply, ResponseError)]
        for error in sorted(refused, key=lambda one: isinstance(one, NoScriptError)):
            raise error
        return replies

    async def scan(self, pattern: str) -> AsyncIterator[str]:
        """Every key that matches, each at least once, read in small steps that hold nobody up."""
        found = aiter(self._client.scan_iter(match=pattern, count=_SCAN_STEP))
        while (key := await self._guard(anext(found, None))) is not None:
            yield key

    async def evalsha(self, sha: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        """Run a loaded script. Raises NoScriptError if the server does not know it."""
        return await self.command("EVALSHA", sha, len(keys), *keys, *args)

    async def evalshas(self, batch: Sequence[Command]) -> list[Any]:
        """Several EVALSHA in one round trip; ``None`` for each whose script the server does not know."""
        if self._link is None:
            return list(await asyncio.gather(*(self._known(parts) for parts in batch)))
        return cast("list[Any]", await self._guard(self._all_known(self._link, batch)))

    async def _known(self, parts: Command) -> Any:
        try:
            return await self.command(*parts)
        except NoScriptError:
            return None

    async def _all_known(self, link: Link, batch: Sequence[Command]) -> list[Any]:
        replies = await link.ask(batch)
        known = [None if isinstance(reply, NoScriptError) else reply for reply in replies]
        for reply in known:
            if isinstance(reply, ResponseError):
                raise reply
        return known

    async def eval(self, source: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        return await self.command("EVAL", source, len(keys), *keys, *args)

    async def time(self) -> int:
        """The server's time in milliseconds since the epoch; of a Cluster's servers the earliest."""
        if isinstance(self._client, RedisCluster):
            answer = await self._guard(self._client.time(target_nodes=RedisCluster.PRIMARIES))
            times = list(answer.values()) if isinstance(answer, dict) else [answer]
        else:
            times = [await self._guard(self._client.time())]
        return min(int(seconds) * 1000 + int(micros) // 1000 for seconds, micros in times)

    async def check(self) -> None:
        """Refuse a server that is too old; warn of one that may lose logins.

        Raises:
            StoreSetupError: the server is older than Redis 6.2.
        """
        for info in await self.infos():
            version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
            if "valkey_version" not in info and version < MIN_REDIS:
                raise StoreSetupError(f"Redis {info['redis_version']} is too old: use 6.2 or newer")
            policy = info.get("maxmemory_policy", "noeviction")
            if policy != "noeviction":
                log.warning("redis.evicts", policy=policy, fix="set maxmemory-policy noeviction")
            if not info.get("aof_enabled"):
                log.warning("redis.forgets", fix="set appendonly yes, or a restart loses logins")

    async def infos(self) -> list[dict[str, Any]]:
        """INFO of each primary server."""
        if isinstance(self._client, RedisCluster):
            answer = await self._guard(self._client.info(target_nodes=RedisCluster.PRIMARIES))
            return list(answer.values()) if "redis_version" not in answer else [answer]
        return [await self._guard(self._client.info())]

    async def _guard(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except NoScriptError:
            raise
        except ResponseError as error:
            if str(error).startswith(_TRANSIENT):
                raise _unavailable() from error
            raise
        # redis-py lets raw AttributeError and TypeError through where a connection breaks under
        # it (issue 4287), so the net is wider than its own exceptions.
        except (
            RedisError,
            RedisClusterException,
            OSError,
            TimeoutError,
            AttributeError,
            TypeError,
        ) as error:
            log.warning("redis.unavailable", error=type(error).__name__)
            raise _unavailable() from error


_TRANSIENT = (
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MISCONF",
    "OOM",
    "BUSY",
)


def _unavailable() -> UnavailableError:
    return UnavailableError("The store does not answer; try again.", _RETRY_AFTER)


def _clients(url: str, tls: Tls) -> "tuple[Redis[str] | RedisCluster[str], Link | None]":  # type: ignore[type-arg]
    """redis-py's client, and for one server the link that takes what is asked often."""
    client = _client(url, tls)
    if isinstance(client, RedisCluster):
        return client, None
    context = _context(tls) if url.startswith("rediss") else None
    link = Link(
        read_address(url, context), connect_timeout=CONNECT_TIMEOUT, answer_timeout=ANSWER_TIMEOUT
    )
    return client, link


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _client(url: str, tls: Tls) -> "Redis[str] | RedisCluster[str]":  # type: ignore[type-arg]
    options: dict[str, Any] = {
        "decode_responses": True,
        "protocol": 2,
        "socket_timeout": ANSWER_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
    }
    parts = urlsplit(url)
    options |= _tls_options(parts, tls)
    if parts.scheme in ("redis+cluster", "rediss+cluster"):
        plain = urlunsplit(parts._replace(scheme=parts.scheme.removesuffix("+cluster")))
        return RedisCluster.from_url(plain, socket_connect_timeout=CONNECT_TIMEOUT, **options)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise StoreSetupError(
            "REDIS_URL must begin with redis://, rediss://, unix://, redis+cluster:// or rediss+cluster://"
        )
    if parts.scheme != "unix":
        options["socket_connect_timeout"] = CONNECT_TIMEOUT
    pool = BlockingConnectionPool.from_url(
        url, max_connections=CONNECTIONS, timeout=POOL_TIMEOUT, **options
    )
    return Redis.from_pool(pool)


def _tls_options(parts: SplitResult, tls: Tls) -> dict[str, str]:
    if any(name.startswith("ssl") for name in parse_qs(parts.query)):
        # redis-py would take ssl_cert_reqs=none from there.
        raise StoreSetupError("REDIS_URL sets TLS options: set the files in [redis] instead")
    given = {
        "ssl_ca_certs": tls.ca_file,
        "ssl_certfile": tls.cert_file,
        "ssl_keyfile": tls.key_file,
    }
    options = {name: file for name, file in given.items() if file is not None}
    if options and not parts.scheme.startswith("rediss"):
        raise StoreSetupError(
            "[redis] names TLS files, but REDIS_URL does not begin with rediss:// (or rediss+cluster://)"
        )
    return options
