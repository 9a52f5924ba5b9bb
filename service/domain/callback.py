"""Status callbacks: what an app is told, where it may be told, and when it is told again.

The form is Standard Webhooks' (standardwebhooks.com, specification 1.0): ``{type, timestamp, data}``. The
data are an audit event's own fields, so a number stands in it as its mask and look-up id, a code never.
"""

import ipaddress
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from service.domain.address import is_inner, is_public

MAX_URL = 2048
URL_PATTERN = (
    r'^https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?([/?][!-"$-~]*)?$'
)
_URL = re.compile(URL_PATTERN, re.ASCII)
_MAX_PORT = 65_535

_SECOND = 1_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
RETRIES = (5 * _SECOND, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 10 * _HOUR)
"""Milliseconds from each failed try to the next; after the last one the callback is dead."""
LIFE = sum(RETRIES)
JITTER = 0.1
_GUARDS_OWN = ("keys", "exempt", "messages")
"""Members of an audit event for the guard alone: a digest of a client's address is no app's concern."""
LONGEST_RETRY_AFTER = _HOUR


class CallbackUrlError(ValueError):
    """Nothing may be posted to the URL; the message says why, and never repeats it."""


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """``url``: where what belongs to no verification is told; ``None``: nowhere. ``ports``: the only ones
    to post to; empty: any."""

    url: str | None = None
    allow_http: bool = False
    allow_private: bool = False
    ports: frozenset[int] = frozenset()

    def check(self, url: str) -> None:
        """Refuse what can be refused without a look at the DNS, which is asked at each connect.

        Raises:
            CallbackUrlError: not https, with credentials or a fragment, too long, or an inner address.
        """
        match = _URL.fullmatch(url)
        if match is None or len(url) > MAX_URL:
            raise CallbackUrlError(
                f"must be an https URL of at most {MAX_URL} ASCII characters, with no user name, "
                "password or fragment"
            )
        if url.startswith("http:") and not self.allow_http:
            raise CallbackUrlError("must begin with https://")
        port = int(match[2][1:]) if match[2] else 80 if url.startswith("http:") else 443
        if port not in (self.ports or range(1, _MAX_PORT + 1)):
            allowed = ", ".join(map(str, sorted(self.ports))) or f"1 to {_MAX_PORT}"
            raise CallbackUrlError(f"must have an allowed port ({allowed})")
        host = match[1].strip("[]")
        if _is_address(host) and not self.may_reach(host):
            raise CallbackUrlError("must not point to a private or reserved address")

    def may_reach(self, address: str) -> bool:
        """Whether a connection to the address (as text, without brackets) may be made."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return is_public(found) or (self.allow_private and is_inner(found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_of(url: str) -> str:
    """The host and port: what may stand in a log."""
    match = _URL.fullmatch(url)
    return f"{match[1]}{match[2] or ''}".lower() if match is not None else "?"


def payload(event: str) -> bytes:
    """The body that tells of an audit event (JSON); the same bytes at each try."""
    data = json.loads(event)
    kind, at = data.pop("type"), data.pop("at")
    for name in _GUARDS_OWN:
        data.pop(name, None)
    instant = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    told = {"type": kind, "timestamp": instant.replace("+00:00", "Z"), "data": data}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def next_try(
    tries: int, since: int, now: int, *, jitter: float, retry_after: int | None = None
) -> int | None:
    """When to try again after so many failed tries; ``None``: no more.

    What waited behind an earlier callback for longer than all tries take gets a single one. Times are
    milliseconds; ``jitter`` is from -1 to 1.
    """
    if tries > len(RETRIES) or now - since >= LIFE:
        return None
    delay = int(RETRIES[tries - 1] * (1 + JITTER * jitter))
    return now + max(delay, min(retry_after or 0, LONGEST_RETRY_AFTER))
