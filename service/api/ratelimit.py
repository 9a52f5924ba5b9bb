"""``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-10): one policy for each
limit, its tightest window."""

from collections.abc import Sequence

from service.domain.guard import Standing

OWN_LIMITS = frozenset({"app", "api_key"})
"""The limits of the caller itself. What is left of any other says how often somebody else asked for codes
of a recipient, an address or a prefix, so a start that succeeds never shows it."""


def ratelimit_headers(standings: Sequence[Standing]) -> dict[str, str]:
    """``q``: the quota, ``w``: its window in seconds, ``r``: what is left, ``t``: seconds to the next."""
    if not standings:
        return {}
    policies = [f'"{s.limit}";q={s.window.count};w={s.window.seconds}' for s in standings]
    left = [f'"{s.limit}";r={s.remaining};t={-(-s.reset // 1000)}' for s in standings]
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(left)}
