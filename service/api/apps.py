"""``/v1/apps``: apps and their API keys, for operators."""

import re
from typing import Annotated, Any

from litestar import Controller, Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from service.api.auth import caller
from service.api.body import Answer, RequestModel, answer, read_body
from service.api.parts import Parts
from service.domain.app import APP_PATTERN, MAX_NAME, MOST_TEST_NUMBERS, is_app
from service.domain.callback import MAX_URL, URL_PATTERN
from service.domain.code import MAX_LENGTH, MIN_LENGTH, Code
from service.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from service.domain.guard import parse_limit
from service.domain.instant import rfc3339
from service.domain.recipient import InvalidNumberError, Recipient, parse_recipient
from service.flow.apps import ANY, Wanted
from service.store.api_keys import ApiKey, KeyChangedError, Scope
from service.store.apps import Defined

_LIMIT_PATTERN = r"^[1-9][0-9]{0,5}/[1-9][0-9]{0,6}$"
_CODE = re.compile(rf"[0-9]{{{MIN_LENGTH},{MAX_LENGTH}}}", re.ASCII)
_TAG = re.compile(r'(?:W/)?"([!#-~]{1,64})"', re.ASCII)
_MOST = 100


def _is_limit(text: str) -> str:
    parse_limit(text)
    return text


_Windows = Annotated[
    list[
        Annotated[
            str,
            AfterValidator(_is_limit),
            WithJsonSchema({"type": "string", "pattern": _LIMIT_PATTERN}),
        ]
    ],
    Field(max_length=5),
]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_KeyName = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?)$")
]


_Purpose = _KeyName
_Wording = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}(@(short|payment|payment-short))?$"
    ),
]
_Template = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class RouteBody(RequestModel):
    """Countries (ISO 3166-1 alpha-2, or ``*``) and the senders to try there, in order."""

    countries: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}|\*)$")]],
        Field(min_length=1, max_length=250),
    ]
    plan: Annotated[list[_Name], Field(min_length=1, max_length=10)]


class LimitsBody(RequestModel):
    """Windows as ``count/seconds``; an empty list switches a limit off. What is named here is counted for the
    app alone."""

    recipient: _Windows | None = None
    client_ip: _Windows | None = None
    without_client_ip: _Windows | None = None
    prefix: _Windows | None = None
    country: _Windows | None = None
    app: _Windows | None = None
    keys: Annotated[dict[_KeyName, _Windows], Field(max_length=20)] | None = None


class AppDefinition(RequestModel):
    """What an app has of its own; what is left out is the configuration's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "The Shop",
                    "routes": [{"countries": ["US", "CA"], "plan": ["long"]}],
                    "limits": {"recipient": ["3/600"]},
                    "callback_url": "https://shop.example/hooks/countersign",
                    "code_length": 8,
                }
            ]
        }
    )

    name: Annotated[
        str | None,
        Field(description="As texts say it.", min_length=1, max_length=MAX_NAME),
    ] = None
    routes: Annotated[
        list[RouteBody] | None,
        Field(description="Instead of all configured ones.", min_length=1, max_length=_MOST),
    ] = None
    senders: Annotated[
        list[_Name] | None,
        Field(description="The only senders that it may use.", min_length=1, max_length=_MOST),
    ] = None
    limits: LimitsBody | None = None
    callback_url: Annotated[
        str | None,
        Field(
            description="Where a start's changes are told that names no callback_url.",
            json_schema_extra={"maxLength": MAX_URL, "pattern": URL_PATTERN},
        ),
    ] = None
    texts: Annotated[
        dict[_Purpose, Annotated[dict[_Wording, _Template], Field(max_length=_MOST)]] | None,
        Field(
            description="Templates by purpose (or * for all), then by locale; before the configuration's.",
            max_length=_MOST,
            examples=[{"login": {"de": "{code} ist der Code von {app}."}}],
        ),
    ] = None
    code_length: Annotated[int | None, Field(ge=MIN_LENGTH, le=MAX_LENGTH)] = None
    ttl: Annotated[int | None, Field(description="Seconds.", ge=60, le=600)] = None


def _read_test_numbers(given: object) -> tuple[tuple[Recipient, Code], ...] | None:
    """Neither number nor code stands in what is said of them."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ValueError(  # noqa: TRY004 - pydantic names the field only then
            "must be an object of numbers and their codes; leave it out to keep those that are there"
        )
    if len(given) > MOST_TEST_NUMBERS:
        raise ValueError(f"has more than {MOST_TEST_NUMBERS} numbers")
    return tuple(_read_test_number(number, code) for number, code in given.items())


def _read_test_number(number: str, code: object) -> tuple[Recipient, Code]:
    try:
        recipient = parse_recipient(number)
    except InvalidNumberError as error:
        raise ValueError(f"has a number that {error}") from None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise ValueError(f"has a code that is not {MIN_LENGTH} to {MAX_LENGTH} digits")
    return recipient, Code(code)


class AppBody(AppDefinition):
    """A whole definition: what it does not name is the configuration's, but for ``test_numbers``."""

    test_numbers: Annotated[
        Any,
        PlainValidator(_read_test_numbers),
        WithJsonSchema(
            {
                "anyOf": [
                    {
                        "type": "object",
                        "maxProperties": MOST_TEST_NUMBERS,
                        "propertyNames": {"pattern": r"^\+[1-9][0-9]{6,14}$"},
                        "additionalProperties": {"type": "string", "pattern": f"^{_CODE.pattern}$"},
                    },
                    {"type": "null"},
                ]
            }
        ),
        Field(
            description="Numbers (E.164) that get no message, and the code that is right for each. Left out: "
            "those that are there stay. They cannot be read again.",
            examples=[{"+12025550199": "123456"}],
        ),
    ] = None

    def wanted(self) -> Wanted:
        definition = self.model_dump(mode="json", exclude={"test_numbers"}, exclude_none=True)
        return Wanted(definition, self.test_numbers)


class AppAnswer(RequestModel):
    """An app; ``test_numbers`` are masked. ``revision`` is 0 where everything is the configuration's."""

    app: Annotated[str, Field(examples=["shop"])]
    revision: int
    created_at: str | None
    updated_at: str | None
    definition: AppDefinition
    test_numbers: list[str]


class AppsAnswer(RequestModel):
    """All that were defined, by name, and the app ``default``."""

    apps: list[AppAnswer]


class KeyBody(RequestModel):
    """A new API key."""

    scopes: Annotated[
        list[Scope],
        Field(min_length=1, max_length=len(Scope), strict=False, examples=[["verifications"]]),
    ] = [Scope.VERIFICATIONS]
    expires_in: Annotated[
        int | None, Field(description="Seconds from now; never if left out.", ge=60, le=10**9)
    ] = None


class KeyAnswer(RequestModel):
    """An API key. Its secret is stored as a hash, and cannot be read again."""

    id: Annotated[str, Field(examples=["0123456789ab"])]
    app: str
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class NewKeyAnswer(KeyAnswer):
    """With ``key``, which is shown this once."""

    key: Annotated[str, Field(examples=["cs_0123456789ab_..."])]


class KeysAnswer(RequestModel):
    """An app's keys, the oldest first."""

    keys: list[KeyAnswer]


class Apps(Controller):
    """Any slug is an app; one that is defined here has something of its own."""

    path = "/v1/apps"
    tags = ["apps"]
    opt = {"scope": Scope.ADMIN}

    @get(
        operation_id="listApps",
        summary="List the apps that were defined",
        opt={"answer": AppsAnswer},
    )
    async def list_all(self, parts: NamedDependency[Parts]) -> Answer:
        return answer(AppsAnswer(apps=[_model(one) for one in await parts.apps.list()]))

    @get(
        "/{app_id:str}",
        operation_id="getApp",
        summary="Read an app; its ETag is for If-Match",
        opt={"answer": AppAnswer, "problems": ("not-found",), "etag": True},
    )
    async def read(self, app_id: FromPath[str], parts: NamedDependency[Parts]) -> Answer:
        return _answer(await parts.apps.get(app_id))

    @put(
        "/{app_id:str}",
        operation_id="putApp",
        summary="Create an app, or replace its definition",
        opt={
            "body": AppBody,
            "answer": AppAnswer,
            "creates": True,
            "etag": True,
            "if_match": True,
            "problems": ("app-exists", "app-changed"),
        },
    )
    async def write(
        self, request: Request[Any, Any, Any], app_id: FromPath[str], parts: NamedDependency[Parts]
    ) -> Answer:
        body = await read_body(request, AppBody)
        written = await parts.apps.put(
            _slug(app_id), body.wanted(), expected=_expected(request), actor=caller(request).id
        )
        return _answer(written, 201 if written.revision == 1 else 200)

    @delete(
        "/{app_id:str}",
        operation_id="deleteApp",
        summary="Delete an app: its keys are revoked, what it began goes on to its end",
        opt={"if_match": True, "problems": ("not-found", "invalid-request", "app-changed")},
    )
    async def remove(
        self, request: Request[Any, Any, Any], app_id: FromPath[str], parts: NamedDependency[Parts]
    ) -> None:
        await parts.apps.delete(
            app_id, expected=_expected(request) or ANY, actor=caller(request).id
        )

    @get(
        "/{app_id:str}/keys",
        operation_id="listKeys",
        summary="List an app's API keys",
        opt={"answer": KeysAnswer, "problems": ("invalid-request",)},
    )
    async def keys(self, app_id: FromPath[str], parts: NamedDependency[Parts]) -> Answer:
        found = await parts.keys.of_app(_slug(app_id))
        return answer(KeysAnswer(keys=[KeyAnswer(**_members(key, used)) for key, used in found]))

    @post(
        "/{app_id:str}/keys",
        operation_id="createKey",
        summary="Make an API key; it is shown this once",
        opt={"body": KeyBody, "answer": NewKeyAnswer},
    )
    async def create_key(
        self, request: Request[Any, Any, Any], app_id: FromPath[str], parts: NamedDependency[Parts]
    ) -> Answer:
        body = await read_body(request, KeyBody)
        ends = None if body.expires_in is None else parts.clock.now() + body.expires_in * 1000
        key, plain = await parts.keys.create(
            _slug(app_id), body.scopes, ends, actor=caller(request).id
        )
        return answer(NewKeyAnswer(**_members(key, None), key=plain), 201)

    @delete(
        "/{app_id:str}/keys/{key_id:str}",
        operation_id="revokeKey",
        summary="Revoke an API key for good; instances notice within seconds",
        opt={"problems": ("not-found",)},
    )
    async def revoke_key(
        self,
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        key_id: FromPath[str],
        parts: NamedDependency[Parts],
    ) -> None:
        ids = {key.id for key, _ in await parts.keys.of_app(app_id)}
        try:
            revoked = key_id in ids and await parts.keys.revoke(key_id, actor=caller(request).id)
        except KeyChangedError:
            raise UnavailableError(
                "Somebody else changed the key at the same time; try again.", 1
            ) from None
        if not revoked:
            raise NotFoundError("The app has no such key, or it was revoked before.")


def _slug(app_id: str) -> str:
    if not is_app(app_id):
        raise InvalidRequestError.at(
            "",
            f"the app in the path must be lower-case letters, digits, '-' and '_': {APP_PATTERN}",
        )
    return app_id


def _expected(request: Request[Any, Any, Any]) -> str | None:
    """The tag in ``If-Match`` (RFC 9110, 13.1.1)."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    if header.strip() == ANY:
        return ANY
    match = _TAG.fullmatch(header.strip())
    if match is None:
        raise InvalidRequestError.at("", "If-Match must be the ETag of an earlier answer, or *")
    return match[1]


def _members(key: ApiKey, used: int | None) -> dict[str, Any]:
    return {
        "id": key.id,
        "app": key.app,
        "scopes": sorted(key.scopes),
        "created_at": rfc3339(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(used),
    }


def _time(instant: int | None) -> str | None:
    return None if instant is None else rfc3339(instant)


def _model(found: Defined) -> AppAnswer:
    return AppAnswer(
        app=found.app.id,
        revision=found.revision,
        created_at=_time(found.created_at or None),
        updated_at=_time(found.updated_at or None),
        definition=AppDefinition.model_validate(found.definition),
        test_numbers=[code.masked for code in found.app.test_numbers.values()],
    )


def _answer(found: Defined, status: int = 200) -> Answer:
    headers = {"etag": f'"{found.tag}"'}
    if status == 201:
        headers["location"] = f"/v1/apps/{found.app.id}"
    return answer(_model(found), status, headers)
