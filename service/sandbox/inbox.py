"""The inbox page: one document and the modules and styles in ``page/`` that it names."""

import secrets
from functools import cache
from importlib import resources

from litestar import Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css"}


@get("/")
async def page() -> Response[str]:
    nonce = secrets.token_urlsafe(16)
    # The nonce of a module covers what it imports.
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"content-security-policy": policy, "referrer-policy": "no-referrer"}
    return _response(_files()["index.html"].replace("NONCE", nonce), "text/html", headers)


@get("/inbox/{name:str}")
async def part(name: FromPath[str]) -> Response[str]:
    suffix = name[name.rfind(".") :]
    if suffix not in _MEDIA_TYPES or name not in _files():
        raise NotFoundException
    return _response(_files()[name], _MEDIA_TYPES[suffix], {})


def _response(content: str, media_type: str, headers: dict[str, str]) -> Response[str]:
    always = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(content, media_type=media_type, headers={**always, **headers})


@cache
def _files() -> dict[str, str]:
    """The page's few files, by name."""
    folder = resources.files("service.sandbox") / "page"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


router = Router("/", route_handlers=[page, part])
