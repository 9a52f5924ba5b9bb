"""Limits that run before anything is sent: what is counted, over which windows.

Counting itself is the store's (a sliding log per key, so no burst passes at a window's edge); this
module says which keys a start counts against.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

_LIMIT = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,6})", re.ASCII)
_IPV6_HOST_PREFIX = 64
_KEY_LIMIT = "limit_keys."
_OF_CALLER = frozenset({"app", "client_ip", "without_client_ip", "api_key"})
ANY_KEY = "*"
"""In ``Limits.keys``: the windows of every name that is not listed."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` in any ``seconds``."""

    count: int
    seconds: int


def parse_limit(text: str) -> Limit:
    """Read ``count/seconds``, as in ``5/600``. Raises ValueError if it is not of that form."""
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError('must be "count/seconds", for example "5/600"')
    return Limit(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Limits:
    """The windows of each limit; an empty tuple switches that limit off.

    ``without_client_ip`` is one bucket per app for the starts that ``client_ip`` cannot count; ``keys``
    are the caller's own, by name; ``api_key`` counts every request made with a key. ``own`` names those that
    are counted for the app alone, and not with all others'.
    """

    recipient: tuple[Limit, ...] = ()
    client_ip: tuple[Limit, ...] = ()
    without_client_ip: tuple[Limit, ...] = ()
    prefix: tuple[Limit, ...] = ()
    country: tuple[Limit, ...] = ()
    app: tuple[Limit, ...] = ()
    api_key: tuple[Limit, ...] = ()
    keys: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LimitKey:
    """One counter: the limit's name, the value that it counts (never stored plain), its windows."""

    limit: str
    value: str
    windows: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that is used up. ``retry_after`` is in milliseconds."""

    limit: str
    window: Limit
    retry_after: int


def last_free(exceeded: Sequence[Exceeded]) -> Exceeded:
    """Of several that are used up the one that is free again last."""
    return max(exceeded, key=lambda one: one.retry_after)


def is_of_caller(limit: str) -> bool:
    """Whether a limit counts the caller and its end user, whoever is to get the code."""
    return limit in _OF_CALLER or limit.startswith(_KEY_LIMIT)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a limit in its tightest window; the oldest count leaves it after ``reset``
    milliseconds."""

    limit: str
    window: Limit
    remaining: int
    reset: int


def shared_limits(
    limits: Limits,
    *,
    app: str,
    client_ip: str | None,
    prefix: str,
    country: str,
    limit_keys: Mapping[str, str],
) -> tuple[LimitKey, ...]:
    """The counters of a start that do not belong to the recipient. A caller's own keys are its app's."""

    def key(limit: str, value: str, windows: tuple[Limit, ...]) -> LimitKey:
        return LimitKey(limit, f"{app}|{value}" if limit in limits.own else value, windows)

    keys = [
        LimitKey("app", app, limits.app),
        key("prefix", prefix, limits.prefix),
        key("country", country, limits.country),
    ]
    if client_ip is not None:
        keys.append(key("client_ip", network_of(client_ip), limits.client_ip))
    elif limits.client_ip:
        keys.append(LimitKey("without_client_ip", app, limits.without_client_ip))
    any_key = limits.keys.get(ANY_KEY, ())
    keys += [
        LimitKey(f"{_KEY_LIMIT}{name}", f"{app}|{value}", limits.keys.get(name, any_key))
        for name, value in limit_keys.items()
    ]
    return tuple(key for key in keys if key.windows)


@lru_cache(maxsize=256)  # A start asks for the same one at four places.
def network_of(address: str) -> str:
    """What one end-user holds: an IPv4 address, or the /64 of an IPv6 address, in canonical form.

    Raises:
        ValueError: it is no IP address.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(parsed), _IPV6_HOST_PREFIX), strict=False))
    return str(parsed)
