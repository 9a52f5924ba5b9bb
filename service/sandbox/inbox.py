"""The inbox page: the phones and what they show."""

import re
import secrets
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from service.sandbox.inbound import Inbound
from service.sandbox.messages import Message
from service.sandbox.phones import Network

if TYPE_CHECKING:
    from jinja2 import Template

_SHOWN = 500
# A code of the design: 4 to 10 digits. After # it is the repetition that browsers read (WebOTP).
_CODE = re.compile(r"(?<![\d#])\d{4,10}(?!\d)", re.ASCII)


@dataclass(slots=True)
class Phone:
    """A number and what its screen shows, newest last."""

    number: str
    entries: list[Message | Inbound] = field(default_factory=list)


@get("/")
async def inbox(network: NamedDependency[Network]) -> Response[str]:
    """The whole page; its script fetches it again and again and takes over what is new."""
    nonce = secrets.token_urlsafe(16)
    page = _template().render(nonce=nonce, phones=phones(network), shown=_SHOWN)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"content-security-policy": policy, "cache-control": "no-store"}
    return Response(page, media_type=MediaType.HTML, headers=headers)


def phones(network: Network) -> list[Phone]:
    """The phones of the newest messages; the phone that was met last comes first."""
    found: dict[str, Phone] = {}
    for message in network.messages.newest(_SHOWN):
        number = message.request.to
        found.setdefault(number, Phone(number)).entries.append(message)
    for reply in network.replies:
        found.setdefault(reply.from_, Phone(reply.from_)).entries.append(reply)
    for phone in found.values():
        phone.entries.sort(key=lambda entry: entry.created_at)
    return list(reversed(found.values()))


def split_code(text: str) -> tuple[str, str, str]:
    """The text before the code, the code, and the rest; without a code all is the rest."""
    code = _CODE.search(text)
    return (text[: code.start()], code[0], text[code.end() :]) if code else ("", "", text)


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - start-up need not wait for it

    source = (resources.files("service.sandbox") / "inbox.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["split_code"] = split_code
    environment.tests["reply"] = lambda entry: isinstance(entry, Inbound)
    return environment.from_string(source)
