"""One POST of a callback, and what came of it."""

import asyncio
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache

import httpcore
import httpx

from service.callbacks.guarded import AddressRefusedError, GuardedBackend, Resolve, Resolver
from service.callbacks.turns import MOST_AT_ONCE
from service.domain.callback import CallbackRules, CallbackUrlError

POST_TIMEOUT = 15_000
"""Milliseconds for all of a POST: name, connection, request and answer (the specification's least)."""
_MOST_KEPT_OPEN = 16
_KEPT_OPEN_SECONDS = 15.0
_MOST_ANSWER = 16 * 1024
_USER_AGENT = "Countersign"


@dataclass(frozen=True, slots=True)
class Answer:
    """``word`` says how it ended: a status, or what went wrong. ``final``: a further try is no use.
    ``retry_after`` in milliseconds."""

    word: str
    delivered: bool = False
    final: bool = False
    retry_after: int | None = None


@cache
def _authorities() -> ssl.SSLContext:
    """Those of SSL_CERT_FILE, or the public ones; reading them takes long."""
    return httpx.create_ssl_context()


class CallbackClient:
    """Posts to receivers: redirects are not followed, and nothing of the environment's proxies is used.
    ``tls`` and ``resolve`` are for tests; by default the public authorities and the system's resolver."""

    def __init__(
        self,
        rules: CallbackRules,
        *,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._rules = rules
        self._resolver = Resolver(MOST_AT_ONCE)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or _authorities(),
            max_connections=MOST_AT_ONCE,
            max_keepalive_connections=_MOST_KEPT_OPEN,
            keepalive_expiry=_KEPT_OPEN_SECONDS,
            network_backend=GuardedBackend(resolve or self._resolver, rules.may_reach),
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes, now: int) -> Answer:
        """Post once. Whatever happens on the way is an answer."""
        try:
            self._rules.check(url)  # they may have changed since it was queued
            async with asyncio.timeout(POST_TIMEOUT / 1000):
                return await self._post(url, headers, body, now)
        except CallbackUrlError:
            return Answer("url_refused", final=True)
        except AddressRefusedError:
            return Answer("address_refused", final=True)
        except TimeoutError:
            return Answer("timeout")
        except httpcore.ConnectError as error:
            return Answer("tls" if _is_of_tls(error) else "no_connection")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            return Answer("no_answer")

    async def _post(self, url: str, headers: dict[str, str], body: bytes, now: int) -> Answer:
        request = {"content-type": "application/json", "user-agent": _USER_AGENT, **headers}
        async with self._pool.stream(
            "POST", url, headers=list(request.items()), content=body
        ) as response:
            size = 0
            async for chunk in response.aiter_stream():
                # Read only so that the connection can be used again; a long answer closes it.
                size += len(chunk)
                if size > _MOST_ANSWER:
                    break
            status = response.status
            waits = status in (429, 503)
            return Answer(
                str(status),
                delivered=200 <= status < 300,
                final=status == 410,
                retry_after=_retry_after(response.headers, now) if waits else None,
            )

    async def close(self) -> None:
        await self._pool.aclose()
        self._resolver.close()


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _retry_after(headers: list[tuple[bytes, bytes]], now: int) -> int | None:
    """Milliseconds, from seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    found = [value for name, value in headers if name.lower() == b"retry-after"]
    text = found[0].decode("latin-1").strip() if found else ""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text) * 1000
    try:
        return max(int(parsedate_to_datetime(text).timestamp() * 1000) - now, 0)
    except (ValueError, TypeError, OverflowError):
        return None
