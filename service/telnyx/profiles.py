"""The account's messaging profiles, as far as a self-examination needs them (GET /messaging_profiles)."""

from dataclasses import dataclass
from typing import Any

import httpx

from service.telnyx.client import SEND_TIMEOUT, TelnyxConfig

_PAGE_SIZE = 250
_MOST_PAGES = 20


@dataclass(frozen=True, slots=True)
class Profile:
    """A messaging profile; ``webhook_api_version`` is ``1``, ``2`` or ``2010-04-01``."""

    id: str
    name: str
    enabled: bool
    webhook_api_version: str
    webhook_url: str | None


class ProfilesError(Exception):
    """They could not be read. ``status``: of Telnyx's answer, ``None`` if there was none."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"GET /messaging_profiles: {status or 'no answer'}")
        self.status = status


async def list_profiles(config: TelnyxConfig) -> list[Profile]:
    """Every messaging profile of the account. Raises ProfilesError."""
    found: list[Profile] = []
    headers = {"authorization": f"Bearer {config.api_key}"}
    async with httpx.AsyncClient(
        base_url=config.base_url, headers=headers, timeout=SEND_TIMEOUT, trust_env=False
    ) as http:
        for page in range(1, _MOST_PAGES + 1):
            body = await _get(http, {"page[number]": page, "page[size]": _PAGE_SIZE})
            found += [_read(entry) for entry in body.get("data") or ()]
            if page >= int((body.get("meta") or {}).get("total_pages", 1)):
                break
    return found


async def _get(http: httpx.AsyncClient, params: dict[str, int]) -> dict[str, Any]:
    try:
        response = await http.get("/messaging_profiles", params=params)
    except httpx.HTTPError:
        raise ProfilesError(None) from None
    try:
        body = response.json()
    except ValueError:
        body = None
    if not response.is_success or not isinstance(body, dict):
        raise ProfilesError(response.status_code)
    return body


def _read(entry: dict[str, Any]) -> Profile:
    return Profile(
        id=str(entry.get("id")),
        name=str(entry.get("name")),
        enabled=entry.get("enabled") is not False,
        webhook_api_version=str(entry.get("webhook_api_version")),
        webhook_url=entry.get("webhook_url"),
    )
