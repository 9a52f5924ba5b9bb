"""Where the primary is, as Sentinels say: ``redis+sentinel://user:password@a:26379,b:26379/mymaster/0``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

SCHEMES = ("redis+sentinel", "rediss+sentinel")
_DEFAULT_PORT = 26379
# One that hangs is passed over soon: the next one knows too.
_TIMEOUT = 0.3
_OPTIONS = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """Who is asked for which primary. ``server`` greets the primary, ``sentinel`` the Sentinels: both as
    redis-py's options."""

    sentinels: tuple[tuple[str, int], ...]
    primary: str
    server: Mapping[str, Any] = field(repr=False)
    sentinel: Mapping[str, Any] = field(repr=False)


class Sentinels:
    """Asks the Sentinels, one after the other."""

    def __init__(self, url: SentinelUrl, options: Mapping[str, Any]) -> None:
        """``options``: what redis-py is told of every connection, as TLS files."""
        short = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
        self._primary = url.primary
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            url.sentinels,
            sentinel_kwargs={**options, **url.sentinel, **short},
            **{**options, **url.server},
        )

    def client(self) -> "Redis[str]":  # type: ignore[type-arg]
        """redis-py's client of whoever is primary."""
        return cast("Redis[str]", self._sentinel.master_for(self._primary))  # type: ignore[type-arg]

    async def locate(self) -> tuple[str, int]:
        """Host and port of the primary.

        Raises:
            redis.exceptions.ConnectionError: no Sentinel answers, or none knows a primary that is up.
        """
        host, port = await self._sentinel.discover_master(self._primary)
        return str(host), int(port)

    async def is_unknown(self) -> bool:
        """Whether some Sentinel answers, and none of those that do watches a primary of that name."""
        answered = False
        for one in self._sentinel.sentinels:
            try:
                if self._primary in await one.sentinel_masters():
                    return False
            except (RedisError, OSError):
                continue
            answered = True
        return answered

    async def close(self) -> None:
        for one in self._sentinel.sentinels:
            await one.aclose()


def split_url(url: str) -> SplitResult:
    """As ``urlsplit``, which in newer Pythons refuses an IPv6 address among several hosts."""
    scheme, _, rest = url.partition("://")
    end = next((n for n, character in enumerate(rest) if character in "/?#"), len(rest))
    return urlsplit(f"{scheme}://host{rest[end:]}")._replace(netloc=rest[:end])


def read_sentinel_url(url: str) -> SentinelUrl:
    """Raises ValueError, which says what is wrong and quotes nothing that may be secret."""
    parts = split_url(url)
    login, _, hosts = parts.netloc.rpartition("@")
    primary, _, db = parts.path.strip("/").partition("/")
    if not primary:
        raise ValueError("it does not end with the name of the primary, as in /mymaster")
    if db and not db.isdecimal():
        raise ValueError("what follows the primary's name is no number of a database")
    user, _, password = login.partition(":")
    server = _given(username=unquote(user), password=unquote(password), db=int(db or 0))
    sentinels = tuple(_host_and_port(host) for host in hosts.split(","))
    return SentinelUrl(sentinels, unquote(primary), server, _login(parts))


def _host_and_port(text: str) -> tuple[str, int]:
    try:
        found = urlsplit(f"//{text}")
        host, port = found.hostname, found.port
    except ValueError:
        host, port = None, None
    if host is None:
        raise ValueError("its Sentinels are no list of host:port, as in a:26379,b:26379")
    return host, port or _DEFAULT_PORT


def _login(parts: SplitResult) -> dict[str, Any]:
    query = parse_qs(parts.query)
    if unknown := sorted(query.keys() - set(_OPTIONS)):
        raise ValueError(f"it has an option {unknown[0]}; there are {' and '.join(_OPTIONS)}")
    found = {name.removeprefix("sentinel_"): values[-1] for name, values in query.items()}
    return _given(**found)


def _given(**options: str | int) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}
