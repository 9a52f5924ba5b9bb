"""Whose word counts for a caller's address: the socket's, or that of the proxies in front."""

from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import structlog
from granian.utils.proxies import wrap_asgi_with_proxy_headers

from service.cli.serving import Asgi
from service.clock import Clock
from service.settings import Settings, SettingsError

_FORWARDED = (b"x-forwarded-for", b"forwarded")
_WARN_EVERY = 60_000

log = structlog.get_logger(__name__)


def check_proxies(settings: Settings, host: str) -> None:
    """Refuse a production set-up that leaves open who is in front of it.

    Raises:
        SettingsError: with what to do.
    """
    if settings.http.trusted_proxies is not None or not settings.public_url.startswith("https:"):
        return
    if not _is_loopback(host):
        raise SettingsError(
            f"public_url is https and {host} can be reached from outside, so a proxy with TLS stands in "
            "front: say which addresses it calls from, or whoever calls could claim any address:\n"
            '  [http]\n  trusted_proxies = ["10.0.0.0/8"]\n'
            'or trusted_proxies = "none", if nothing but callers themselves reach this port'
        )


def behind(app: Asgi, trusted: list[str] | str | None, clock: Clock) -> Asgi:
    """The application, told a caller's address by the proxies that are trusted: the right-most address of
    ``X-Forwarded-For`` that is not theirs. Unset, a header that a proxy sent is warned of."""
    if isinstance(trusted, list):
        wrapped: Asgi = wrap_asgi_with_proxy_headers(app, _with_mapped(trusted))
        return wrapped
    return app if trusted == "none" else _warned(app, clock)


def _warned(app: Asgi, clock: Clock) -> Asgi:
    warn_at = 0

    async def watch(scope: Any, receive: Any, send: Any) -> None:
        nonlocal warn_at
        if any(name in _FORWARDED for name, _ in scope.get("headers", ())):
            now = clock.now()
            if now >= warn_at:
                warn_at = now + _WARN_EVERY
                log.warning(
                    "proxy.not_trusted",
                    fix="a proxy's header came and was ignored: set [http] trusted_proxies to the "
                    'proxy\'s addresses, or to "none"',
                )
        await app(scope, receive, send)

    return watch


def _with_mapped(networks: list[str]) -> list[str]:
    """Each IPv4 network also as a socket that listens on ``::`` shows it."""
    mapped = [
        f"::ffff:{net.network_address}/{96 + net.prefixlen}"
        for net in map(ip_network, networks)
        if isinstance(net, IPv4Network)
    ]
    # The server takes an entry without a slash for a host.
    return [str(ip_network(net)) for net in [*networks, *mapped]]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
