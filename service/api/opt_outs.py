"""``/v1/opt-outs``: read, record, lift, list."""

import re
from typing import Any

from litestar import Controller, Request, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from pydantic import BaseModel

from service.api.auth import caller
from service.api.body import Answer, Instant, answer
from service.api.parts import Parts
from service.domain.errors import InvalidRequestError, NotFoundError
from service.domain.instant import rfc3339
from service.domain.opt_out_scope import concerns
from service.domain.recipient import InvalidNumberError, Recipient, parse_recipient
from service.store.api_keys import Scope
from service.store.recipients import OptOut

_CURSOR = re.compile(r"([0-9]{1,2})\.([0-9]{1,9})", re.ASCII)
_PAGE = 100


class OptOutAnswer(BaseModel):
    """A recorded opt-out; ``source``: ``inbound`` (a STOP), ``telnyx`` (its refusal, its list) or ``api``."""

    number: str
    since: Instant
    source: str


class OptOutsAnswer(BaseModel):
    """A page; ``next_cursor`` is null after the last. What is another app's own is left out, so a page may be
    short; with the scope ``admin`` beside ``opt-outs`` it is there."""

    opt_outs: list[OptOutAnswer]
    next_cursor: str | None


class OptOuts(Controller):
    """Opt-outs hold for every app and every sender, unless ``[opt_outs] scope`` says otherwise."""

    path = "/v1/opt-outs"
    tags = ["opt-outs"]
    opt = {"scope": Scope.OPT_OUTS}

    @get(
        operation_id="listOptOuts",
        summary="List opt-outs, masked",
        opt={"answer": OptOutsAnswer, "query": ("cursor",), "problems": ("invalid-request",)},
    )
    async def page(
        self,
        request: Request[Any, Any, Any],
        parts: NamedDependency[Parts],
        cursor: FromQuery[str | None] = None,
    ) -> Answer:
        key = caller(request)
        found = await parts.recipients.list_opt_outs(_cursor(cursor), _PAGE)
        seen = [
            entry
            for entry in found.items
            if Scope.ADMIN in key.scopes or concerns(entry.scope, key.app)
        ]
        following = None if found.next is None else f"{found.next[0]}.{found.next[1]}"
        return answer(
            OptOutsAnswer(opt_outs=[_model(entry) for entry in seen], next_cursor=following)
        )

    @get(
        "/{number:str}",
        operation_id="getOptOut",
        summary="Read a number's opt-out",
        opt={"answer": OptOutAnswer, "problems": ("not-found", "invalid-request")},
    )
    async def read(
        self, request: Request[Any, Any, Any], number: FromPath[str], parts: NamedDependency[Parts]
    ) -> Answer:
        found = await parts.facts.get_opt_out(_recipient(number), caller(request).app)
        return answer(_model(found))

    @put(
        "/{number:str}",
        operation_id="recordOptOut",
        summary="Record an opt-out and stop what is pending",
        opt={"answer": OptOutAnswer, "problems": ("invalid-request",)},
    )
    async def record(
        self, request: Request[Any, Any, Any], number: FromPath[str], parts: NamedDependency[Parts]
    ) -> Answer:
        recipient = _recipient(number)
        key = caller(request)
        await parts.facts.opt_out(recipient, app=key.app, actor=key.id, source="api")
        return answer(_model(await parts.facts.get_opt_out(recipient, key.app)))

    @delete(
        "/{number:str}",
        operation_id="liftOptOut",
        summary="Lift an opt-out",
        opt={"problems": ("not-found", "invalid-request")},
    )
    async def lift(
        self, request: Request[Any, Any, Any], number: FromPath[str], parts: NamedDependency[Parts]
    ) -> None:
        key = caller(request)
        lifted = await parts.facts.opt_in(
            _recipient(number), app=key.app, actor=key.id, source="api"
        )
        if not lifted:
            raise NotFoundError("There is no opt-out of this number.")


def _recipient(number: str) -> Recipient:
    try:
        return parse_recipient(number)
    except InvalidNumberError as error:
        raise InvalidRequestError.at("", f"the number in the path {error}") from None


def _cursor(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 0
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidRequestError.at("", "cursor must be the next_cursor of an earlier page")
    return int(match[1]), int(match[2])


def _model(entry: OptOut) -> OptOutAnswer:
    return OptOutAnswer(number=entry.masked, since=rfc3339(entry.since), source=entry.source)
