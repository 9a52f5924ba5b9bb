"""Messaging profiles: read them, their metrics, a new secret."""

import secrets
from dataclasses import replace
from itertools import chain

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.sandbox.account import Profile
from service.sandbox.errors import not_found
from service.sandbox.inbound import Inbound
from service.sandbox.messages import Message, now
from service.sandbox.metrics import TIME_FRAMES, detailed, overview, profile_of, recent
from service.sandbox.phones import Network
from service.sandbox.query import Page, answer, paged
from service.sandbox.routes.gateway import AnyRequest, query_of


@get("/messaging_profiles")
async def list_all(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    query = query_of(request)
    exact = query.text("filter[name][eq]") or query.text("filter[name]")
    part = query.text("filter[name][contains]") or ""
    found = [
        profile
        for profile in network.account.profiles.values()
        if exact in (None, profile.name) and part in profile.name
    ]
    url = network.config.profile_webhook_url
    return paged(found, query.page(), lambda profile: profile.payload(url))


@get("/messaging_profiles/{profile_id:str}")
async def retrieve(profile_id: FromPath[str], network: NamedDependency[Network]) -> Response[bytes]:
    return _answer(_find(network, profile_id), network)


@post("/messaging_profiles/{profile_id:str}/actions/regenerate_secret", status_code=200)
async def regenerate_secret(
    profile_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    fresh = secrets.token_urlsafe(18)
    changed = replace(_find(network, profile_id), v1_secret=fresh, updated_at=now())
    network.account.profiles.put(changed.id, changed)
    return _answer(changed, network)


@get("/messaging_profile_metrics")
async def list_metrics(request: AnyRequest, network: NamedDependency[Network]) -> Response[bytes]:
    frame = query_of(request).choice("time_frame", TIME_FRAMES) or "24h"
    entries = _entries(network, frame)
    profiles = network.account.profiles.values()
    # The operation takes no page: one has them all.
    return paged(
        profiles,
        Page(size=max(1, len(profiles))),
        lambda profile: overview(
            profile.id,
            _numbers(network, profile.id),
            [entry for entry in entries if profile_of(entry) == profile.id],
        ),
    )


@get("/messaging_profiles/{profile_id:str}/metrics")
async def retrieve_metrics(
    request: AnyRequest, profile_id: FromPath[str], network: NamedDependency[Network]
) -> Response[bytes]:
    profile = _find(network, profile_id)
    frame = query_of(request).choice("time_frame", TIME_FRAMES) or "24h"
    entries = [one for one in _entries(network, frame) if profile_of(one) == profile.id]
    return answer(
        {
            "overview": overview(profile.id, _numbers(network, profile.id), entries),
            "detailed": detailed(entries, frame),
        }
    )


def _find(network: Network, id_: str) -> Profile:
    found = network.account.profiles.get(id_)
    if found is None:
        raise not_found()
    return found


def _answer(profile: Profile, network: Network) -> Response[bytes]:
    return answer(profile.payload(network.config.profile_webhook_url))


def _entries(network: Network, frame: str) -> list[Message | Inbound]:
    return recent(chain(network.messages.of(None), network.replies), frame)


def _numbers(network: Network, profile: str) -> int:
    every = network.account.numbers.values()
    return sum(number.messaging_profile_id == profile for number in every)


handlers = [list_all, retrieve, regenerate_secret, list_metrics, retrieve_metrics]
