"""Auto-response settings of a messaging profile."""

import json
import re
from dataclasses import replace

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.sandbox.account import Autoresponse
from service.sandbox.encoding import MAX_PARTS, encode
from service.sandbox.errors import not_found
from service.sandbox.fields import Fields
from service.sandbox.messages import now
from service.sandbox.phones import Network
from service.sandbox.query import Page, answer, paged
from service.sandbox.routes.gateway import AnyRequest, body_of, query_of

_PATH = "/messaging_profiles/{profile_id:str}/autoresp_configs"
_ONE = _PATH + "/{config_id:str}"
_OPS = ("start", "stop", "info")
_COUNTRY = re.compile(r"[A-Z]{2}|\*", re.ASCII)
# KB "Advanced opt-in/out".
_MOST_KEYWORDS = 20
_SHORTEST_TEXT = 20


@get(_PATH)
async def list_all(
    request: AnyRequest, profile_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    _check_profile(network, profile_id)
    query = query_of(request)
    country = query.text("country_code")
    made, changed = query.between("created_at"), query.between("updated_at")
    found = [
        one
        for one in network.account.autoresponses_of(profile_id)
        if country in (None, one.country_code) and made(one.created_at) and changed(one.updated_at)
    ]
    # The operation takes no page: one has them all.
    return paged(found, Page(size=max(1, len(found))), Autoresponse.payload)


@post(_PATH, status_code=200)
async def create(
    request: AnyRequest, profile_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    _check_profile(network, profile_id)
    made = _read(await body_of(request), profile_id)
    network.account.autoresponses.put(made.id, made)
    return answer(made.payload())


@get(_ONE)
async def retrieve(
    profile_id: FromPath[str], config_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    return answer(_find(network, profile_id, config_id).payload())


@put(_ONE)
async def update(
    request: AnyRequest,
    profile_id: FromPath[str],
    config_id: FromPath[str],
    network: NamedDependency[Network],
) -> Response[bytes]:
    old = _find(network, profile_id, config_id)
    given = _read(await body_of(request), profile_id)
    changed = replace(given, id=old.id, created_at=old.created_at, updated_at=now())
    network.account.autoresponses.put(changed.id, changed)
    return answer(changed.payload())


@delete(_ONE, status_code=200)
async def remove(
    profile_id: FromPath[str], config_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    network.account.autoresponses.pop(_find(network, profile_id, config_id).id)
    return Response(json.dumps("deleted").encode(), media_type="application/json")


def _check_profile(network: Network, id_: str) -> None:
    if id_ not in network.account.profiles:
        raise not_found()


def _find(network: Network, profile: str, id_: str) -> Autoresponse:
    found = network.account.autoresponses.get(id_)
    if found is None or found.profile_id != profile:
        raise not_found()
    return found


def _read(fields: Fields, profile: str) -> Autoresponse:
    op = fields.choice("op", _OPS)
    if op is None:
        raise fields.missing("op")
    keywords = fields.strings("keywords")
    if keywords is None:
        raise fields.missing("keywords")
    if not 1 <= len(keywords) <= _MOST_KEYWORDS or not all(word.strip() for word in keywords):
        raise fields.invalid("keywords", f"1 to {_MOST_KEYWORDS} words")
    country = fields.required("country_code")
    if not _COUNTRY.fullmatch(country):
        raise fields.invalid("country_code", "two capital letters (ISO 3166-1) or *")
    text = fields.string("resp_text", lines=True)
    if text is not None and len(text) < _SHORTEST_TEXT:
        raise fields.invalid("resp_text", f"at least {_SHORTEST_TEXT} characters long")
    if text is not None and encode(text).parts > MAX_PARTS:
        raise fields.refusal("40302", f"The text has more than {MAX_PARTS} parts.", "resp_text")
    return Autoresponse(
        profile_id=profile, op=op, keywords=keywords, country_code=country, resp_text=text
    )


handlers = [list_all, create, retrieve, update, remove]
