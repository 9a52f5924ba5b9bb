"""A client of Countersign's HTTP API, with httpx and pydantic alone.

    from service.client import Countersign

    with Countersign.from_env() as countersign:
        started = countersign.start("+12025550123", client_ip="192.0.2.7")
        ...
        verdict = countersign.verify(started.id, typed)

``AsyncCountersign`` is the same for asyncio. What goes wrong is a CountersignError (``errors.py``).
"""

from service.client.answers import (
    App,
    AuditEvent,
    Delivery,
    DeliveryStatus,
    Limits,
    Notice,
    NoticeStatus,
    OptOut,
    Route,
    Status,
    Verdict,
    Verification,
)
from service.client.asynchronous import AsyncCountersign
from service.client.blocking import Countersign
from service.client.calls import Transaction
from service.client.errors import (
    AppChangedError,
    AppExistsError,
    CountersignError,
    CountryNotAllowedError,
    FieldError,
    ForbiddenError,
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    NoticeClosedError,
    NumberTypeNotAllowedError,
    PayloadTooLargeError,
    ProblemError,
    RateLimitedError,
    RecipientOptedOutError,
    ResendTooSoonError,
    SuspectedFraudError,
    TransactionMismatchError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    VerificationClosedError,
)
from service.client.retries import Retries

__all__ = [
    "App",
    "AppChangedError",
    "AppExistsError",
    "AsyncCountersign",
    "AuditEvent",
    "Countersign",
    "CountersignError",
    "CountryNotAllowedError",
    "Delivery",
    "DeliveryStatus",
    "FieldError",
    "ForbiddenError",
    "IdempotencyInProgressError",
    "IdempotencyMismatchError",
    "InternalError",
    "InvalidRequestError",
    "Limits",
    "MethodNotAllowedError",
    "NotFoundError",
    "Notice",
    "NoticeClosedError",
    "NoticeStatus",
    "NumberTypeNotAllowedError",
    "OptOut",
    "PayloadTooLargeError",
    "ProblemError",
    "RateLimitedError",
    "RecipientOptedOutError",
    "ResendTooSoonError",
    "Retries",
    "Route",
    "Status",
    "SuspectedFraudError",
    "Transaction",
    "TransactionMismatchError",
    "UnauthorizedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "Verdict",
    "Verification",
    "VerificationClosedError",
]
