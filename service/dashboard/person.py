"""A person: what happened to each of her logins, told from the audit trail.

The number comes in a form's body and is looked up by its digest; it stands in no address, no log and
nowhere in the page but masked.
"""

import json
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from service.api.parts import Parts
from service.dashboard.opt_outs import SOURCES
from service.dashboard.page import render
from service.dashboard.visit import Visit, read_form, signed_in, visit_of
from service.domain.explain import explain
from service.domain.recipient import InvalidNumberError, parse_recipient
from service.store import keys
from service.store.trail import Position

_SINCE = 35 * 86_400_000
_MOST = 2_000
"""Events shown, the newest."""
_CAME_TO = {
    "verification.approved": "approved",
    "verification.canceled": "canceled",
    "verification.expired": "expired",
    "verification.locked": "locked",
    "verification.undeliverable": "undeliverable",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of a story: when, how long (seconds) after its beginning, what happened, and who did it."""

    at: int
    after: float
    what: str
    who: str
    kind: str


@dataclass(slots=True)
class Story:
    """A verification, or what happened beside all of them (``id`` is empty)."""

    id: str
    about: str
    moments: list[Moment]
    came_to: str = ""


@get("/dashboard/person", guards=[signed_in], include_in_schema=False)
async def person_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return render("person", _EMPTY, visit=visit_of(request))


@post("/dashboard/person", guards=[signed_in], status_code=200, include_in_schema=False)
async def person(request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Response[bytes]:
    visit = visit_of(request)
    fields = await read_form(request, visit)
    try:
        recipient = parse_recipient(_plain(fields.get("number", "")))
    except InvalidNumberError as error:
        fault = f"The number {error}."
        return render("person", _EMPTY | {"fault": fault}, visit=visit, status=422)
    lookup_id = parts.keyring.lookup_id(recipient.e164)
    pseudonym = await parts.people.pseudonym(lookup_id)
    events = await _events(parts, visit, pseudonym) if pseudonym is not None else []
    opted_out = await parts.recipients.opt_outs_of(lookup_id)
    stories = _stories(events, await _names(parts))
    values = {
        "masked": recipient.masked,
        "country": recipient.country,
        "stories": stories,
        "opt_outs": opted_out if stories or visit.is_admin else [],
        "is_cut": len(events) == _MOST,
        "came_to": _summary(stories),
    }
    return render("person", _EMPTY | values, visit=visit)


_EMPTY: dict[str, object] = {
    "masked": "",
    "country": "",
    "stories": [],
    "opt_outs": [],
    "fault": "",
    "is_cut": False,
    "came_to": "",
    "sources": SOURCES,
}


def _summary(stories: list[Story]) -> str:
    """How many verifications, and what came of them."""
    ends = Counter(story.came_to or "under way" for story in stories if story.id)
    total = ends.total()
    said = f"{total} verification{'' if total == 1 else 's'} in the last 35 days"
    return said + (": " + ", ".join(f"{n} {end}" for end, n in ends.most_common()) if ends else "")


def _plain(text: str) -> str:
    """As people write numbers: blanks, dashes, brackets and a leading 00 mean nothing."""
    kept = "".join(c for c in text if c not in " -()./\N{NO-BREAK SPACE}")
    return f"+{kept[2:]}" if kept.startswith("00") else kept


async def _events(parts: Parts, visit: Visit, pseudonym: str) -> list[dict[str, Any]]:
    now = await parts.trail.now()
    since = Position(max(now - _SINCE, 0), 0, 0)
    found: deque[dict[str, Any]] = deque(maxlen=_MOST)
    async for entry in parts.trail.read(since, now, [keys.partition_of(pseudonym)]):
        if pseudonym in entry.original:
            event = json.loads(entry.original)
            if event.get("recipient") == pseudonym and (
                "app" not in event or visit.may_see(event["app"])
            ):
                found.append(event)
    return list(found)


def _stories(events: list[dict[str, Any]], names: dict[str, str]) -> list[Story]:
    """The newest first; what belongs to no verification last."""
    stories: dict[str, Story] = {}
    for event in events:
        id_ = event.get("verification", "")
        if id_ not in stories:
            about = " · ".join(str(event[k]) for k in ("app", "purpose", "country") if event.get(k))
            stories[id_] = Story(id_, about if id_ else "", [])
        story = stories[id_]
        begun = story.moments[0].at if story.moments else event["at"]
        actor = event.get("actor", "")
        story.moments.append(
            Moment(
                at=event["at"],
                after=(event["at"] - begun) / 1000,
                what=explain(event),
                who=names.get(actor, actor),
                kind=f"{event['type'].replace('.', '-')} {event.get('status', '')}",
            )
        )
        story.came_to = _CAME_TO.get(event["type"], story.came_to)
    for story in stories.values():
        # What happened side by side is recorded in the order of its ends.
        story.moments.sort(key=lambda one: one.at)
    return sorted(stories.values(), key=lambda one: (not one.id, -one.moments[0].at))


async def _names(parts: Parts) -> dict[str, str]:
    """Who is behind an event's ``actor``."""
    known = {key.id: f"API key {key.id} of {key.app}" for key, _ in await parts.api_keys.list()}
    return known | {
        "telnyx": "Telnyx",
        "countersign": "Countersign",
        "recipient": "the person, by text",
        "operator": "an operator, at the command line",
    }
