"""The connection to Redis or Valkey: one server or a Cluster, with timeouts, and its start-up checks.

Retries are off: after a lost answer a script may or may not have run, and only the caller knows
what a second run would mean.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast
from urllib.parse import SplitResult, parse_qs, urlunsplit

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
from service.store.cluster import ClusterLinks
from service.store.link import Address, Command, Link, Locate, NotCopiedError, read_address
from service.store.sentinel import SCHEMES as SENTINEL_SCHEMES
from service.store.sentinel import Sentinels, SentinelUrl, read_sentinel_url, split_url

CONNECT_TIMEOUT = 1.0
ANSWER_TIMEOUT = 2.0
POOL_TIMEOUT = 1.0
CONNECTIONS = 64
_RETRY_AFTER = 1
_SCAN_STEP = 500
MIN_REDIS = (6, 2)
_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", *SENTINEL_SCHEMES)
_Client: TypeAlias = "Redis[str] | RedisCluster[str]"  # type: ignore[type-arg]
_Links = Link | ClusterLinks

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
        client: _Client,
        link: _Links,
        copying: _Links | None,
        sentinels: Sentinels | None = None,
    ) -> None:
        """``client`` runs what is rare. ``copying``: connections for what a replica must have before it is
        answered; whoever waits for that holds up what comes after it."""
        self._client = client
        self._link = link
        self._copying = copying
        self._sentinels = sentinels

    @classmethod
    async def open(cls, url: str, tls: Tls | None = None, *, copied: bool = False) -> "Connection":
        """Connect to ``redis://``, ``rediss://`` or ``unix://`` (one server), to ``redis+sentinel://`` /
        ``rediss+sentinel://`` (whoever is primary), or to ``redis+cluster://`` / ``rediss+cluster://``.
        ``copied``: what may not be lost is answered once a replica has it.

        Raises:
            UnavailableError: the server does not answer.
            StoreSetupError: the URL cannot be used, or says what belongs into ``tls``.
        """
        client, make, sentinels = _clients(url, tls or Tls())
        connection = cls(client, make(), make() if copied else None, sentinels)
        try:
            await connection._check_name()
            await connection.ping()
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def delay(self) -> float:
        """Seconds that the oldest question waits for its answer; 0 if there is none."""
        return self._link.delay

    async def _check_name(self) -> None:
        if self._sentinels is not None and await self._sentinels.is_unknown():
            raise StoreSetupError(
                "the Sentinels of REDIS_URL watch no primary of that name: "
                "name it as 'sentinel monitor' does"
            )

    async def ping(self) -> None:
        # The first use of a Cluster client must not be concurrent (redis-py 8.1 fails then).
        if isinstance(self._client, RedisCluster):
            await self._guard(self._client.initialize())
        await self.command("PING")

    async def close(self) -> None:
        self._drop_links()
        await self._client.aclose()
        if self._sentinels is not None:
            await self._sentinels.close()

    def _drop_links(self) -> None:
        self._link.drop()
        if self._copying is not None:
            self._copying.drop()

    async def command(self, *parts: str | float | bytes) -> Any:
        """Run one command. Raises NoScriptError if it names a script that the server does not know."""
        return (await self.commands([parts]))[0]

    async def commands(self, batch: Sequence[Command]) -> list[Any]:
        """Several independent commands in one round trip (on a Cluster: one to each server)."""
        return cast("list[Any]", await self._guard(self._ask(self._link, batch)))

    async def _ask(self, link: _Links, batch: Sequence[Command]) -> list[Any]:
        """The replies of all; the first error among them is raised, a missing script last."""
        replies = await link.ask(batch, copied=link is self._copying)
        refused = [reply for reply in replies if isinstance(reply, ResponseError)]
        for error in sorted(refused, key=lambda one: isinstance(one, NoScriptError)):
            raise error
        return replies

    async def scan(self, pattern: str) -> AsyncIterator[str]:
        """Every key that matches, each at least once, read in small steps that hold nobody up."""
        found = aiter(self._client.scan_iter(match=pattern, count=_SCAN_STEP))
        while (key := await self._guard(anext(found, None))) is not None:
            yield key

    async def evalsha(
        self, sha: str, keys: Sequence[str], args: Sequence[str], *, copied: bool = False
    ) -> Any:
        """Run a loaded script; ``copied``: answer once a replica has what it wrote, where that is asked
        of this connection. Raises NoScriptError if the server does not know it."""
        return await self._run(("EVALSHA", sha, len(keys), *keys, *args), copied=copied)

    async def evalshas(self, batch: Sequence[Command]) -> list[Any]:
        """Several EVALSHA in one round trip; ``None`` for each whose script the server does not know."""
        return cast("list[Any]", await self._guard(self._all_known(batch)))

    async def _all_known(self, batch: Sequence[Command]) -> list[Any]:
        replies = await self._link.ask(batch)
        known = [None if isinstance(reply, NoScriptError) else reply for reply in replies]
        for reply in known:
            if isinstance(reply, ResponseError):
                raise reply
        return known

    async def eval(
        self, source: str, keys: Sequence[str], args: Sequence[str], *, copied: bool = False
    ) -> Any:
        """As ``evalsha``, with the script's text."""
        return await self._run(("EVAL", source, len(keys), *keys, *args), copied=copied)

    async def _run(self, command: Command, *, copied: bool) -> Any:
        link = self._copying if copied and self._copying is not None else self._link
        (reply,) = await self._guard(self._ask(link, [command]))
        return reply

    async def time(self) -> int:
        """The server's time in milliseconds since the epoch; of a Cluster's servers the earliest."""
        return min(await self.times())

    async def times(self) -> list[int]:
        """The time of each primary server, as ``time``."""
        if isinstance(self._client, RedisCluster):
            answer = await self._guard(self._client.time(target_nodes=RedisCluster.PRIMARIES))
            times = list(answer.values()) if isinstance(answer, dict) else [answer]
        else:
            times = [await self._guard(self._client.time())]
        return [int(seconds) * 1000 + int(micros) // 1000 for seconds, micros in times]

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
            if self._copying is not None and not info.get("connected_slaves"):
                log.warning(
                    "redis.no_replica", fix="durability = replica refuses logins without one"
                )

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
            if str(error).startswith("READONLY"):
                self._drop_links()  # It was demoted; another is the primary.
            if str(error).startswith(_TRANSIENT):
                raise _unavailable() from error
            raise
        except NotCopiedError as error:
            log.warning("redis.not_copied", fix="see that a replica is connected to the primary")
            raise _unavailable() from error
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
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "MISCONF",
    "OOM",
    "BUSY",
)


def _unavailable() -> UnavailableError:
    return UnavailableError("The store does not answer; try again.", _RETRY_AFTER)


def _clients(url: str, tls: Tls) -> tuple[_Client, Callable[[], _Links], Sentinels | None]:
    """redis-py's client for what is rare, and what makes links for all else."""
    parts = split_url(url)
    options = _options(parts, tls)
    context = _context(tls) if parts.scheme.startswith("rediss") else None
    if parts.scheme in SENTINEL_SCHEMES:
        found = _read_sentinel_url(url)
        sentinels = Sentinels(found, options | ({"ssl": True} if context is not None else {}))
        primary = Address(tls=context, **found.server)
        return sentinels.client(), lambda: _link(primary, sentinels.locate), sentinels
    plain = urlunsplit(parts._replace(scheme=parts.scheme.removesuffix("+cluster")))
    address = read_address(plain, context)
    if plain != url:
        return (
            RedisCluster.from_url(plain, **options),
            lambda: ClusterLinks(
                address, lambda at: _link(replace(address, host=at[0], port=at[1]))
            ),
            None,
        )
    pool = BlockingConnectionPool.from_url(
        url, max_connections=CONNECTIONS, timeout=POOL_TIMEOUT, **options
    )
    return Redis.from_pool(pool), lambda: _link(address), None


def _read_sentinel_url(url: str) -> SentinelUrl:
    try:
        return read_sentinel_url(url)
    except ValueError as error:
        raise StoreSetupError(f"REDIS_URL is no URL of Sentinels: {error}") from None


def _link(address: Address, locate: Locate | None = None) -> Link:
    return Link(
        address, connect_timeout=CONNECT_TIMEOUT, answer_timeout=ANSWER_TIMEOUT, locate=locate
    )


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _options(parts: SplitResult, tls: Tls) -> dict[str, Any]:
    tls_options = _tls_options(parts, tls)
    if parts.scheme not in _SCHEMES:
        raise StoreSetupError(f"REDIS_URL must begin with one of {'://, '.join(_SCHEMES)}://")
    options: dict[str, Any] = {
        "decode_responses": True,
        "protocol": 2,
        "socket_timeout": ANSWER_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
    }
    if parts.scheme != "unix":
        options["socket_connect_timeout"] = CONNECT_TIMEOUT
    return options | tls_options


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
