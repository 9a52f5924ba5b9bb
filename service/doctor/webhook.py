"""The public webhook address: whether Telnyx's requests would reach this service."""

from urllib.parse import urlsplit

import httpx

from service.doctor.finding import Finding, fail, ok, warn

_TIMEOUT = 5.0
_SUBJECT = "webhook URL"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


async def check_webhook(public_url: str) -> list[Finding]:
    """POST an unsigned event: a running service answers 401, and nobody else does so in our words."""
    url = f"{public_url}/webhooks/telnyx"
    parts = urlsplit(public_url)
    found = []
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        found.append(warn(_SUBJECT, "http: reports cross the network in clear", "use https"))
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
            response = await client.post(url, json={})
    except httpx.HTTPError as error:
        return [
            *found,
            fail(
                _SUBJECT,
                f"{url} does not answer from here ({type(error).__name__})",
                "start the service; check DNS, the proxy and its certificate",
            ),
        ]
    return [*found, _judge(url, response)]


def _judge(url: str, response: httpx.Response) -> Finding:
    if (
        response.status_code == httpx.codes.UNAUTHORIZED
        and "/problems/unauthorized" in response.text
    ):
        return ok(_SUBJECT, f"{url} refuses an unsigned event, as it should")
    if response.is_success:
        return fail(
            _SUBJECT, f"{url} took an unsigned event", "another server answers: check the proxy"
        )
    return fail(
        _SUBJECT,
        f"{url} answers {response.status_code}, not this service's 401",
        "let the proxy pass /webhooks/telnyx on to the service",
    )
