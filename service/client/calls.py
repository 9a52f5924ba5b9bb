"""Every operation of the API as a value: what is asked, and how its answer is read. No I/O."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from service.client.answers import (
    ApiKeys,
    App,
    Apps,
    AuditEvent,
    AuditEvents,
    Checkpoints,
    DeliveryStatistics,
    Limits,
    NewApiKey,
    Notice,
    OptOut,
    OptOuts,
    ProblemType,
    Route,
    SigningKeys,
    Verdict,
    Verification,
    VerificationStatistics,
)
from service.client.errors import UnexpectedAnswerError, read_error

NDJSON = "application/x-ndjson"

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Transaction(TypedDict):
    """What the code approves (PSD2); it stands in the text. ``amount``: decimal, ``currency``: ISO 4217."""

    payee: str
    amount: str
    currency: str


class MessageOptions(TypedDict, total=False):
    """``client_ip``: the end user's address, for its limit. ``senders``: instead of the country's plan.
    ``idempotency_key``: for repetitions of your own; each call has a new one without it."""

    senders: Sequence[str] | None
    client_ip: str | None
    metadata: Mapping[str, str] | None
    idempotency_key: str | None


class StartOptions(MessageOptions, total=False):
    """``ttl``: seconds. ``web_origin`` (WebOTP) and ``app_hash`` (Android): who may fill the code in.
    ``limit_keys``: limits of your own. ``nonce``: asks for a signed proof."""

    purpose: str | None
    locale: str | None
    code_length: int | None
    ttl: int | None
    web_origin: str | None
    app_hash: str | None
    transaction: Transaction | None
    limit_keys: Mapping[str, str] | None
    nonce: str | None
    callback_url: str | None


class NoticeOptions(MessageOptions, total=False):
    """``send_at``: with a time zone, at most 5 days ahead."""

    send_at: datetime | None


class AppOptions(TypedDict, total=False):
    """What the app has of its own. ``test_numbers``: numbers that get no message, and the code of each;
    those that are there stay without it."""

    name: str | None
    routes: Sequence[Route] | None
    senders: Sequence[str] | None
    limits: Limits | None
    callback_url: str | None
    texts: Mapping[str, Mapping[str, str]] | None
    code_length: int | None
    ttl: int | None
    test_numbers: Mapping[str, str] | None


class EventFilter(TypedDict, total=False):
    """``recipient``: a number, or the pseudonym in events."""

    type: str | None
    verification: str | None
    recipient: str | None


class Window(TypedDict, total=False):
    """``window``: such as 24h or 7d, at most 35d."""

    window: str | None
    app: str | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """What goes out may hold a number or a code, so only ``name`` is ever shown."""

    name: str
    method: str = field(repr=False)
    path: str = field(repr=False)
    read: Callable[[httpx.Response], T] = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeatable: bool = field(default=False, repr=False)

    def result(self, answer: httpx.Response) -> T:
        """What the answer says. Raises CountersignError: it is an error, or not the service's."""
        if not answer.is_success:
            raise read_error(answer)
        try:
            return self.read(answer)
        except ValidationError:
            # Its message would show the answer.
            raise UnexpectedAnswerError(answer.status_code) from None


def start(to: str, options: StartOptions) -> Call[Verification]:
    return _message("start", "/v1/verifications", {"to": to}, options, Verification)


def verify(id_: str, code: str, transaction: Transaction | None) -> Call[Verdict]:
    body: dict[str, Any] = {"code": code}
    if transaction is not None:
        body["transaction"] = transaction
    return _post("verify", f"{_verification(id_)}/verify", Verdict, body)


def resend(id_: str) -> Call[Verification]:
    return _post("resend", f"{_verification(id_)}/resend", Verification)


def cancel(id_: str) -> Call[Verification]:
    return _post("cancel", f"{_verification(id_)}/cancel", Verification)


def get(id_: str) -> Call[Verification]:
    return _get("get", _verification(id_), Verification)


def send_notice(to: str, event: str, options: NoticeOptions) -> Call[Notice]:
    return _message("send_notice", "/v1/notices", {"to": to, "event": event}, options, Notice)


def get_notice(id_: str) -> Call[Notice]:
    return _get("get_notice", f"/v1/notices/{_part(id_)}", Notice)


def cancel_notice(id_: str) -> Call[Notice]:
    return _post("cancel_notice", f"/v1/notices/{_part(id_)}/cancel", Notice)


def get_opt_out(number: str) -> Call[OptOut]:
    return _get("get_opt_out", f"/v1/opt-outs/{_part(number)}", OptOut)


def record_opt_out(number: str) -> Call[OptOut]:
    path = f"/v1/opt-outs/{_part(number)}"
    return Call("record_opt_out", "PUT", path, _reader(OptOut), repeatable=True)


def lift_opt_out(number: str) -> Call[None]:
    return Call("lift_opt_out", "DELETE", f"/v1/opt-outs/{_part(number)}", _nothing)


def opt_outs_page(cursor: str | None) -> Call[OptOuts]:
    return _get("opt_outs_page", "/v1/opt-outs", OptOuts, cursor=cursor)


def audit_page(cursor: str | None, limit: int | None, wanted: EventFilter) -> Call[AuditEvents]:
    asked = {"cursor": cursor, "limit": limit, **wanted}
    return _get("audit_page", "/v1/audit/events", AuditEvents, **asked)


def audit_stream(wanted: EventFilter) -> Call[None]:
    """Its answer is read line by line, with ``read_event``."""
    return Call(
        "audit_stream",
        "GET",
        "/v1/audit/events",
        _nothing,
        query=_given(wanted),
        headers={"accept": NDJSON},
    )


def read_event(line: str) -> AuditEvent:
    """A line of the stream. Raises UnexpectedAnswerError: it is no event."""
    try:
        return AuditEvent.model_validate_json(line)
    except ValidationError:
        raise UnexpectedAnswerError(200) from None


def audit_checkpoints() -> Call[Checkpoints]:
    return _get("audit_checkpoints", "/v1/audit/checkpoints", Checkpoints)


def delivery_statistics(group_by: Sequence[str] | None, asked: Window) -> Call[DeliveryStatistics]:
    groups = None if group_by is None else ",".join(group_by)
    path = "/v1/stats/deliveries"
    return _get("delivery_statistics", path, DeliveryStatistics, group_by=groups, **asked)


def verification_statistics(asked: Window) -> Call[VerificationStatistics]:
    path = "/v1/stats/verifications"
    return _get("verification_statistics", path, VerificationStatistics, **asked)


def apps() -> Call[Apps]:
    return _get("apps", "/v1/apps", Apps)


def get_app(app: str) -> Call[App]:
    return Call("get_app", "GET", _app(app), _read_app, repeatable=True)


def put_app(app: str, if_match: str | None, options: AppOptions) -> Call[App]:
    body = {n: _plain(v) for n, v in options.items() if v is not None}
    headers = _if_match(if_match)
    return Call("put_app", "PUT", _app(app), _read_app, body=body, headers=headers)


def delete_app(app: str, if_match: str | None) -> Call[None]:
    return Call("delete_app", "DELETE", _app(app), _nothing, headers=_if_match(if_match))


def api_keys(app: str) -> Call[ApiKeys]:
    return _get("api_keys", f"{_app(app)}/keys", ApiKeys)


def create_api_key(app: str, scopes: Sequence[str], expires_in: int | None) -> Call[NewApiKey]:
    body = {"scopes": list(scopes), "expires_in": expires_in}
    return _post("create_api_key", f"{_app(app)}/keys", NewApiKey, body)


def revoke_api_key(app: str, id_: str) -> Call[None]:
    return Call("revoke_api_key", "DELETE", f"{_app(app)}/keys/{_part(id_)}", _nothing)


def signing_keys() -> Call[SigningKeys]:
    return _get("signing_keys", "/.well-known/jwks.json", SigningKeys)


def explain(slug: str) -> Call[ProblemType]:
    return _get("explain", f"/problems/{_part(slug)}", ProblemType)


def check_alive() -> Call[None]:
    return Call("check_alive", "GET", "/livez", _nothing, repeatable=True)


def check_ready() -> Call[None]:
    return Call("check_ready", "GET", "/readyz", _nothing, repeatable=True)


def _get(name: str, path: str, model: type[M], **query: object) -> Call[M]:
    return Call(name, "GET", path, _reader(model), query=_given(query), repeatable=True)


def _post(name: str, path: str, model: type[M], body: Mapping[str, Any] | None = None) -> Call[M]:
    return Call(name, "POST", path, _reader(model), body=body)


def _message(
    name: str, path: str, body: Mapping[str, Any], options: Mapping[str, Any], model: type[M]
) -> Call[M]:
    key = options.get("idempotency_key") or str(uuid.uuid4())
    more = {n: _plain(v) for n, v in options.items() if n != "idempotency_key" and v is not None}
    return Call(
        name,
        "POST",
        path,
        _reader(model),
        body={**body, **more},
        headers={"idempotency-key": key},
        repeatable=True,
    )


def _plain(value: object) -> object:
    """As JSON knows it."""
    match value:
        case BaseModel():
            return value.model_dump(exclude_none=True)
        case datetime():
            return value.isoformat()
        case Mapping():
            return {name: _plain(part) for name, part in value.items()}
        case Sequence() if not isinstance(value, str):
            return [_plain(part) for part in value]
    return value


def _reader(model: type[M]) -> Callable[[httpx.Response], M]:
    return lambda answer: model.model_validate_json(answer.content)


def _nothing(_: httpx.Response) -> None:
    """There is nothing to read in it."""


def _given(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value is not None}


def _verification(id_: str) -> str:
    return f"/v1/verifications/{_part(id_)}"


def _app(app: str) -> str:
    return f"/v1/apps/{_part(app)}"


def _if_match(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"if-match": etag}


def _read_app(answer: httpx.Response) -> App:
    found = App.model_validate_json(answer.content)
    return found.model_copy(update={"etag": answer.headers.get("etag")})


def _part(text: str) -> str:
    """One segment of a path, whatever is in it."""
    return quote(text, safe="")
