"""The inbox page: the phones and what they show."""

import secrets
from importlib import resources

from litestar import Response, get
from litestar.enums import MediaType


@get("/")
async def inbox() -> Response[str]:
    """One page; its script asks for the messages again and again, and writes back for a phone."""
    nonce = secrets.token_urlsafe(16)
    source = (resources.files("service.sandbox") / "inbox.html").read_text(encoding="utf-8")
    page = source.replace("{{ nonce }}", nonce)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Response(page, media_type=MediaType.HTML, headers={"content-security-policy": policy})
