"""How Telnyx is reached: one keep-alive pool (HTTP/1.1), and JSON read without surprises."""

import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache

import httpx

from service.telnyx.transport import Transport

NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""What surely never reached Telnyx."""

_DEFAULT_RETRY = 1_000
_EPOCH_THRESHOLD = 10**9  # Telnyx's pages disagree whether a reset is seconds or an epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TelnyxConfig:
    """Where Telnyx is and how long to wait for it (seconds, per phase of a request)."""

    base_url: str
    api_key: str
    connect_timeout: float = 2.0
    read_timeout: float = 6.0
    write_timeout: float = 3.0
    pool_timeout: float = 1.0
    connections: int = 64

    def __repr__(self) -> str:
        return f"TelnyxConfig({self.base_url})"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.api_key}"}

    @property
    def timeout(self) -> httpx.Timeout:
        return httpx.Timeout(
            connect=self.connect_timeout,
            read=self.read_timeout,
            write=self.write_timeout,
            pool=self.pool_timeout,
        )


@cache
def _authorities() -> ssl.SSLContext:
    """Read once: it takes longer than all the rest of a client."""
    return httpx.create_ssl_context(trust_env=False)


def open_transport(config: TelnyxConfig) -> Transport:
    """The connections to Telnyx."""
    return Transport(tls=_authorities(), connections=config.connections)


def open_http(config: TelnyxConfig, transport: Transport | None = None) -> httpx.AsyncClient:
    """A client of Telnyx. Nothing of the environment (proxies, .netrc) reaches it."""
    return httpx.AsyncClient(
        base_url=config.base_url,
        headers=config.headers,
        timeout=config.timeout,
        transport=transport or open_transport(config),
        trust_env=False,
        follow_redirects=False,
    )


def read_json(response: httpx.Response) -> object:
    """The body as JSON; ``None`` if it is not."""
    try:
        return response.json()
    except ValueError:
        return None


def retry_after(response: httpx.Response, now: int) -> int:
    """Milliseconds to wait, a second if Telnyx does not say."""
    told = told_to_wait(response, now)
    return _DEFAULT_RETRY if told is None else told


def told_to_wait(response: httpx.Response, now: int) -> int | None:
    """Milliseconds to wait, from ``retry-after`` (RFC 9110: seconds or a date) or
    ``x-ratelimit-reset``."""
    for header in ("retry-after", "x-ratelimit-reset"):
        try:
            value = _seconds(response.headers[header])
        except (KeyError, ValueError, OverflowError):
            continue
        if value > _EPOCH_THRESHOLD:
            value -= now / 1000
        if 0 <= value < _EPOCH_THRESHOLD:
            return int(value * 1000)
    return None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return parsedate_to_datetime(text).timestamp()
