"""What all pages share: how they are made, and the headers that keep everything foreign out."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response.redirect import Redirect

from service.dashboard import formats
from service.dashboard.visit import Visit
from service.domain.errors import NotFoundError

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STATIC = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
PAGES = {
    "overview": "Overview",
    "person": "A person",
    "opt-outs": "Opt-outs",
    "blocks": "Blocks",
    "health": "Health",
}


def render(
    name: str, values: Mapping[str, object], *, visit: Visit | None = None, status: int = 200
) -> Response[bytes]:
    """A page of ``templates/``, which no cache keeps."""
    template = _environment().get_template(f"{name}.html")
    text = template.render(pages=PAGES, current=name.replace("_", "-"), visit=visit, **values)
    return Response(
        text.encode(),
        status_code=status,
        media_type=MediaType.HTML,
        headers={
            "content-security-policy": POLICY,
            "cache-control": "no-store",
            # With "no-referrer" a browser would not say either from where a form comes.
            "referrer-policy": "same-origin",
        },
    )


def go_to(page: str) -> Redirect:
    """The browser asks for that page next (303)."""
    return Redirect(f"/dashboard/{page}", status_code=303)


@get("/dashboard/static/{name:str}", include_in_schema=False)
async def static(name: FromPath[str]) -> Response[bytes]:
    """Style sheet, script and icon."""
    if name not in _STATIC:
        raise NotFoundError("There is nothing at this path.")
    return Response(
        _read_static(name), media_type=_STATIC[name], headers={"cache-control": "max-age=300"}
    )


@cache
def _read_static(name: str) -> bytes:
    return (resources.files("service.dashboard") / "static" / name).read_bytes()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "instant": formats.instant,
        "hour": formats.hour,
        "share": formats.share,
        "count": formats.count,
        "long": formats.long,
    }
    return environment
