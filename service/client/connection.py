"""What both forms of the client share: where the service is, with which key, and what a failure means."""

import os
import random
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import httpx

from service.client.calls import Call
from service.client.errors import UnreachableError
from service.client.retries import Outcome, Retries, was_sent

TIMEOUT = 15.0
"""Seconds. A start answers within 5, when Telnyx is slow."""


class Connection:
    """Where a client's calls go. Its text form has no key in it."""

    def __init__(self, url: str, api_key: str, timeout: float, retries: Retries) -> None:
        """Raises ValueError: the URL is none of a service, or there is no key."""
        parsed = httpx.URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
            raise ValueError("url must be http(s)://host, with no user name and password")
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
            raise ValueError("api_key must be a key such as: countersign keys create")
        self.url = str(parsed.copy_with(query=None, fragment=None)).rstrip("/")
        self._retries = retries
        self._timeout = timeout
        self._headers = {
            "authorization": f"Bearer {api_key.strip()}",
            "accept": "application/json, application/problem+json",
            "user-agent": f"countersign-python/{metadata.version('countersign')}",
        }

    def request(self, call: Call[Any]) -> dict[str, Any]:
        """The arguments of httpx's ``build_request``."""
        return {
            "method": call.method,
            "url": self.url + call.path,
            "params": dict(call.query),
            "json": call.body,
            "headers": {**self._headers, **call.headers},
            "timeout": self._timeout,
        }

    def wait(self, call: Call[Any], outcome: Outcome, tried: int) -> float | None:
        """Seconds until the next try; None: there is none."""
        jitter = random.random()  # noqa: S311
        return self._retries.wait(outcome, tried, repeatable=call.repeatable, jitter=jitter)


def unreachable(error: httpx.RequestError) -> UnreachableError:
    return UnreachableError(type(error).__name__, was_sent(error))


def from_environment(environ: Mapping[str, str] | None) -> tuple[str, str]:
    """The URL and the key. Raises ValueError: a variable is missing; it is named."""
    found = os.environ if environ is None else environ
    missing = [n for n in ("COUNTERSIGN_URL", "COUNTERSIGN_API_KEY") if not found.get(n)]
    if missing:
        raise ValueError(f"set {' and '.join(missing)} in the environment")
    return found["COUNTERSIGN_URL"], found["COUNTERSIGN_API_KEY"]
