"""``/v1/verifications``: start, verify, resend, cancel, get."""

from typing import Annotated, Any, Self

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from service.api.auth import caller, standings
from service.api.body import Answer, Instant, RequestModel, answer, read_body
from service.api.idempotency_key import read_idempotency_key
from service.api.parts import Parts
from service.api.ratelimit import OWN_LIMITS, ratelimit_headers
from service.domain.callback import MAX_URL, URL_PATTERN, CallbackUrlError
from service.domain.code import MAX_LENGTH, MIN_LENGTH, Code, read_code
from service.domain.errors import InvalidRequestError
from service.domain.guard import network_of
from service.domain.instant import rfc3339
from service.domain.plan import SenderKind
from service.domain.recipient import Recipient, parse_recipient
from service.domain.text import check_app_hash, web_host
from service.domain.transaction import LONGEST_PAYEE, Transaction, check_payee
from service.domain.verification import Delivery, DeliveryStatus, Reason, Status, Verification
from service.flow.idempotency import Idempotency
from service.flow.start import StartRequest
from service.store.api_keys import Scope

_MAX_LIMIT_KEYS = 5
_MAX_METADATA = 20
_MetadataName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
_MetadataValue = Annotated[str, StringConstraints(max_length=200)]
_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$")]
_FIRST_MEMBERS = {
    "to", "senders", "client_ip", "metadata", "purpose", "locale", "code_length", "ttl",
    "web_origin", "app_hash", "transaction", "event", "send_at",
}  # fmt: skip
"""Of starts and notices; what was added since does not belong here."""


class TransactionBody(RequestModel):
    """What the code approves, and nothing else (PSD2). It stands in the text, and verify has to repeat it,
    each member as it was."""

    payee: Annotated[
        str,
        AfterValidator(check_payee),
        Field(
            description="Letters and digits of any script, blanks, and . , & ( ) ' + / -",
            min_length=1,
            max_length=LONGEST_PAYEE,
            examples=["Example Shop Ltd"],
        ),
    ]
    amount: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?$")]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


def _read_number(to: object) -> Recipient:
    if not isinstance(to, str):
        raise ValueError("must be a string")  # noqa: TRY004 - pydantic names the field only then
    return parse_recipient(to)


class MessageBody(RequestModel):
    """What every message to a person needs."""

    to: Annotated[
        Recipient,
        PlainValidator(_read_number),
        PlainSerializer(lambda recipient: recipient.e164, return_type=str),
        WithJsonSchema({"type": "string"}),
        Field(description="The recipient, E.164.", examples=["+12025550123"]),
    ]
    senders: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] | None,
        Field(
            description="Sender names in order, instead of the country's plan.",
            min_length=1,
            max_length=10,
        ),
    ] = None
    client_ip: Annotated[
        str | None, Field(description="The end user's address, for its limit.")
    ] = None
    metadata: Annotated[
        dict[_MetadataName, _MetadataValue], Field(max_length=_MAX_METADATA, default_factory=dict)
    ]

    @model_validator(mode="after")
    def _number_stands_in_to_alone(self) -> Self:
        # Everything else is stored and shown as it is.
        if any(self.to.e164[1:] in value for value in self.metadata.values()):
            raise ValueError("metadata must not contain the number: it is kept in clear")
        return self

    @field_validator("senders")
    @classmethod
    def _once_each(cls, senders: list[str] | None) -> list[str] | None:
        if senders is not None and len(set(senders)) != len(senders):
            raise ValueError("must name each sender once")
        return senders

    @field_validator("client_ip")
    @classmethod
    def _is_address(cls, address: str | None) -> str | None:
        if address is not None:
            try:
                network_of(address)
            except ValueError:
                raise ValueError("must be an IPv4 or IPv6 address") from None
        return address


class StartBody(MessageBody):
    """Start a verification."""

    purpose: Annotated[_Slug, Field(description="What the login flow proves it for.")] = "login"
    locale: Annotated[
        str | None, Field(description="BCP 47.", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")
    ] = None
    code_length: Annotated[int | None, Field(ge=MIN_LENGTH, le=MAX_LENGTH)] = None
    ttl: Annotated[int | None, Field(description="Seconds.", ge=60, le=600)] = None
    web_origin: Annotated[
        str | None, Field(description="WebOTP: the https origin that may fill the code in.")
    ] = None
    app_hash: Annotated[
        str | None, Field(description="Android SMS Retriever: the app's 11-character hash.")
    ] = None
    transaction: TransactionBody | None = None
    limit_keys: Annotated[
        dict[_Slug, Annotated[str, StringConstraints(min_length=1, max_length=128)]],
        Field(
            description="Limits of your own: a name (device, user ...) and whom it counts.",
            max_length=_MAX_LIMIT_KEYS,
            default_factory=dict,
        ),
    ]
    nonce: Annotated[
        str | None,
        Field(
            description="Asks for a signed proof: verify's answer gains `proof`, and it names this.",
            pattern=r"^[\x21-\x7e]{16,128}$",
        ),
    ] = None
    callback_url: Annotated[
        str | None,
        Field(
            description="Where changes are told, as Standard Webhooks.",
            # Checked by the rules of the configuration, which say better what is wrong.
            json_schema_extra={"maxLength": MAX_URL, "pattern": URL_PATTERN},
            examples=["https://shop.example/hooks/countersign"],
        ),
    ] = None

    @model_validator(mode="after")
    def _nonce_is_not_the_number(self) -> Self:
        if self.nonce is not None and self.to.e164[1:] in self.nonce:
            raise ValueError("nonce must not contain the number: it is kept in clear")
        return self

    @model_validator(mode="after")
    def _number_stands_not_in_the_url(self) -> Self:
        if self.callback_url is not None and self.to.e164[1:] in self.callback_url:
            raise ValueError("callback_url must not contain the number: it is kept in clear")
        return self

    @field_validator("web_origin")
    @classmethod
    def _is_origin(cls, origin: str | None) -> str | None:
        return None if origin is None else web_host(origin)

    @field_validator("app_hash")
    @classmethod
    def _is_hash(cls, app_hash: str | None) -> str | None:
        return None if app_hash is None else check_app_hash(app_hash)


class VerifyBody(RequestModel):
    """Check a typed code. Blanks and dashes in it are ignored, digits of any script and lower case read."""

    code: Annotated[str, Field(min_length=MIN_LENGTH, max_length=32, examples=["123456"])]
    transaction: Annotated[
        TransactionBody | None,
        Field(description="What the start had, if it had one: the code approves nothing else."),
    ] = None

    @field_validator("code")
    @classmethod
    def _is_code(cls, code: str) -> str:
        read = read_code(code)
        if read is None:
            raise ValueError(f"must be a code of {MIN_LENGTH} to {MAX_LENGTH} digits or letters")
        return read.reveal()


class ErrorAnswer(RequestModel):
    """An error as Telnyx names it."""

    code: str
    title: str


class CostAnswer(RequestModel):
    """What the message cost, as Telnyx reported it."""

    amount: str
    currency: str | None


class DeliveryAnswer(RequestModel):
    """One message carrying one code through one sender."""

    number: int
    sender: str
    kind: SenderKind
    status: DeliveryStatus
    reason: Reason
    message_id: str | None
    errors: list[ErrorAnswer]
    cost: CostAnswer | None
    created_at: Instant
    updated_at: Instant
    proven: bool


_IsTest = Annotated[
    bool,
    Field(
        description="True, and there at all, for a test number of the app alone.",
        exclude_if=lambda test: not test,
    ),
]


class VerificationAnswer(RequestModel):
    """A verification; ``to`` is masked. ``deliveries`` is empty where answers are uniform."""

    id: str
    status: Status
    to: str
    country: str
    purpose: str
    created_at: Instant
    expires_at: Instant
    resend_after: Instant
    attempts_remaining: int
    deliveries: list[DeliveryAnswer]
    metadata: dict[str, str]
    test: _IsTest = False


class VerdictAnswer(RequestModel):
    """Whether the code was right; ``delivery`` is the number of the one that carried it."""

    id: str
    approved: bool
    status: Status
    attempts_remaining: int
    delivery: int | None
    proof: Annotated[
        str | SkipJsonSchema[None],
        Field(
            description="A signed proof (JWS), only where the start gave a nonce; check it with "
            "/.well-known/jwks.json.",
            exclude_if=lambda proof: proof is None,
            json_schema_extra=lambda schema: schema.pop("default"),
        ),
    ] = None
    test: _IsTest = False


class Verifications(Controller):
    """The calls of a login flow."""

    path = "/v1/verifications"
    tags = ["verifications"]
    opt = {"scope": Scope.VERIFICATIONS}

    @post(
        operation_id="startVerification",
        summary="Start a verification and send its first message",
        opt={
            "body": StartBody,
            "answer": VerificationAnswer,
            "idempotent": True,
            "problems": (
                "recipient-opted-out", "country-not-allowed", "number-type-not-allowed", "suspected-fraud",
                "idempotency-in-progress", "idempotency-mismatch", "rate-limited",
            ),
        },
    )  # fmt: skip
    async def start(self, request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Answer:
        body = await read_body(request, StartBody)
        key = caller(request)
        wanted = _start_request(body, key.app, key.id, parts)
        started = await parts.start(wanted, idempotency(request, body))
        own = [s for s in (*standings(request), *started.standings) if s.limit in OWN_LIMITS]
        headers = {
            "location": f"/v1/verifications/{started.verification.id}",
            **ratelimit_headers(own),
        }
        if started.replayed:
            headers["idempotent-replayed"] = "true"
        return _answer(started.verification, parts, 201, headers)

    @get(
        "/{verification_id:str}",
        operation_id="getVerification",
        summary="Read a verification",
        opt={"answer": VerificationAnswer, "problems": ("not-found",)},
    )
    async def read(
        self,
        request: Request[Any, Any, Any],
        verification_id: FromPath[str],
        parts: NamedDependency[Parts],
    ) -> Answer:
        v = await parts.facts.get(verification_id, caller(request).app)
        return _answer(v, parts)

    @post(
        "/{verification_id:str}/verify",
        operation_id="verifyCode",
        summary="Check a typed code",
        status_code=200,
        opt={
            "body": VerifyBody,
            "answer": VerdictAnswer,
            "problems": (
                "not-found", "verification-closed", "transaction-mismatch", "rate-limited",
            ),
        },
    )  # fmt: skip
    async def verify(
        self,
        request: Request[Any, Any, Any],
        verification_id: FromPath[str],
        parts: NamedDependency[Parts],
    ) -> Answer:
        body = await read_body(request, VerifyBody)
        key = caller(request)
        verdict = await parts.verify(
            verification_id,
            key.app,
            Code(body.code),
            key.id,
            transaction=_transaction(body.transaction),
        )
        return answer(
            VerdictAnswer(
                id=verification_id,
                approved=verdict.approved,
                status=verdict.status,
                attempts_remaining=verdict.attempts_remaining,
                delivery=verdict.delivery,
                proof=verdict.proof,
                test=verdict.test,
            )
        )

    @post(
        "/{verification_id:str}/resend",
        operation_id="resendCode",
        summary="Send another message with a new code",
        status_code=200,
        opt={
            "answer": VerificationAnswer,
            "problems": (
                "recipient-opted-out", "suspected-fraud", "not-found", "verification-closed",
                "resend-too-soon", "rate-limited",
            ),
        },
    )  # fmt: skip
    async def resend(
        self,
        request: Request[Any, Any, Any],
        verification_id: FromPath[str],
        parts: NamedDependency[Parts],
    ) -> Answer:
        key = caller(request)
        v = await parts.facts.resend(verification_id, key.app, key.id)
        return _answer(v, parts)

    @post(
        "/{verification_id:str}/cancel",
        operation_id="cancelVerification",
        summary="End a verification; its codes die",
        status_code=200,
        opt={"answer": VerificationAnswer, "problems": ("not-found", "verification-closed")},
    )
    async def cancel(
        self,
        request: Request[Any, Any, Any],
        verification_id: FromPath[str],
        parts: NamedDependency[Parts],
    ) -> Answer:
        key = caller(request)
        v = await parts.facts.cancel(verification_id, key.app, key.id)
        return _answer(v, parts)


def _start_request(body: StartBody, app: str, actor: str, parts: Parts) -> StartRequest:
    if body.callback_url is not None:
        try:
            parts.callbacks.check(body.callback_url)
        except CallbackUrlError as error:
            raise InvalidRequestError.at("/callback_url", str(error)) from None
    return StartRequest(
        app=app,
        actor=actor,
        recipient=body.to,
        purpose=body.purpose,
        code_length=body.code_length,
        alphabet=parts.alphabet,
        ttl=None if body.ttl is None else body.ttl * 1000,
        senders=tuple(body.senders) if body.senders is not None else None,
        locale=body.locale,
        client_ip=body.client_ip,
        limit_keys=body.limit_keys,
        host=body.web_origin,
        app_hash=body.app_hash,
        transaction=_transaction(body.transaction),
        nonce=body.nonce,
        metadata=body.metadata,
        callback_url=body.callback_url,
    )


def _transaction(body: TransactionBody | None) -> Transaction | None:
    return Transaction(body.payee, body.amount, body.currency) if body is not None else None


def idempotency(request: Request[Any, Any, Any], body: MessageBody) -> Idempotency | None:
    """The caller's key, if it sent one."""
    key = read_idempotency_key(request.headers.getall("idempotency-key", []))
    return None if key is None else Idempotency(key, _asked(body))


def _asked(body: MessageBody) -> str:
    """The body as another release makes it of the same request: a member that came later counts only if the
    caller gave it, so that a retry that an upgrade parts from its first request is known again."""
    first = body.model_dump_json(include=_FIRST_MEMBERS)
    given = body.model_fields_set - _FIRST_MEMBERS
    return first + body.model_dump_json(include=given) if given else first


def _answer(
    v: Verification, parts: Parts, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    # Deliveries say what is known of a recipient: uniform answers show none of anybody's.
    deliveries = () if parts.uniform_answers else v.deliveries
    model = VerificationAnswer(
        id=v.id,
        status=v.status_at(parts.clock.now()),
        to=v.masked,
        country=v.country,
        purpose=v.purpose,
        created_at=rfc3339(v.created_at),
        expires_at=rfc3339(v.expires_at),
        resend_after=rfc3339(v.resend_after),
        attempts_remaining=v.attempts_remaining,
        deliveries=[to_delivery_answer(d) for d in deliveries],
        metadata=dict(v.metadata),
        test=v.test,
    )
    return answer(model, status, headers)


def to_delivery_answer(d: Delivery) -> DeliveryAnswer:
    report = d.report
    cost = None
    if report is not None and report.cost is not None:
        cost = CostAnswer(amount=report.cost, currency=report.currency)
    return DeliveryAnswer(
        number=d.number,
        sender=d.sender,
        kind=d.kind,
        status=d.status,
        reason=d.reason,
        message_id=d.message_id,
        errors=[ErrorAnswer(code=e.code, title=e.title) for e in d.errors],
        cost=cost,
        created_at=rfc3339(d.begun_at),
        updated_at=rfc3339(d.updated_at),
        proven=d.proven,
    )
