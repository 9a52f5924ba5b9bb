"""Everything a caller can be told: one class per slug of the HTTP contract, with its data.

No HTTP in here; ``service.api.problems`` gives each slug its status and title. What the
classes carry reaches the caller, so nothing secret may be put into them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from service.domain.guard import Exceeded, Limit


class CountersignError(Exception):
    """A request that cannot be done, with the reason that the caller is told.

    ``detail`` says what is wrong and what to do; ``members`` are further facts for programs.
    """

    slug: ClassVar[str]

    def __init__(self, detail: str, members: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members: dict[str, object] = dict(members or {})
        self.replayed = False
        """Whether an earlier request with the same Idempotency-Key was refused so."""


class RetryLaterError(CountersignError):
    """A request that can succeed unchanged after ``retry_after`` seconds (at least 1)."""

    def __init__(
        self, detail: str, retry_after: float, members: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(detail, members)
        self.retry_after = max(1, -int(-retry_after // 1))


class UnauthorizedError(CountersignError):
    """No API key, or one that is unknown or revoked."""

    slug = "unauthorized"


class ForbiddenError(CountersignError):
    """The API key lacks the scope that the call needs."""

    slug = "forbidden"


class RecipientOptedOutError(CountersignError):
    """The recipient asked for no more messages."""

    slug = "recipient-opted-out"


class CountryNotAllowedError(CountersignError):
    """No route of the configuration covers the recipient's country."""

    slug = "country-not-allowed"


class NumberTypeNotAllowedError(CountersignError):
    """The number is of a type (landline, premium rate ...) that gets no codes."""

    slug = "number-type-not-allowed"


class SuspectedFraudError(CountersignError):
    """SMS pumping is suspected; members ``dimension``, ``window`` (seconds), ``sent``, ``proven`` and
    ``threshold`` say where and why."""

    slug = "suspected-fraud"


FINAL_REFUSALS: Mapping[str, type[CountersignError]] = {
    refusal.slug: refusal
    for refusal in (RecipientOptedOutError, CountryNotAllowedError, NumberTypeNotAllowedError)
}
"""Refusals that end a start for good: under an Idempotency-Key they are replayed, as a result is."""


class NotFoundError(CountersignError):
    """Unknown, or another app's: the two are never told apart."""

    slug = "not-found"


def unknown_verification() -> NotFoundError:
    """No such verification, or another app's."""
    return NotFoundError("There is no such verification.")


class VerificationClosedError(CountersignError):
    """The verification has ended; member ``status`` says how."""

    slug = "verification-closed"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The verification is {status}; start a new one if the person still has to prove the number.",
            # The contract gives `status` to the verification here, in the place of RFC 9457's
            # advisory copy of the HTTP status.
            {"status": status},
        )


class TransactionMismatchError(CountersignError):
    """Verify's transaction is not the one that the verification was started with. It does not say what
    differs: PSD2 RTS (EU) 2018/389 article 4(3)(a)."""

    slug = "transaction-mismatch"


class NoticeClosedError(CountersignError):
    """The notice has left, or was taken back; member ``status`` says which."""

    slug = "notice-closed"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The notice is {status}: a notice can be taken back until a minute before its send_at.",
            {"status": status},
        )


class AppExistsError(CountersignError):
    """A definition came for an app that has one, and did not say which state it replaces."""

    slug = "app-exists"

    def __init__(self) -> None:
        super().__init__(
            "The app is there: read it, and send its ETag as If-Match to replace just that, or * for any."
        )


class AppChangedError(CountersignError):
    """The app is not, or no longer, what the change was meant for."""

    slug = "app-changed"

    def __init__(self) -> None:
        super().__init__(
            "The app is not what If-Match names: read it again and make the change anew."
        )


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a request: a JSON pointer (RFC 6901) into the body, and what is wrong there."""

    pointer: str
    detail: str


class InvalidRequestError(CountersignError):
    """The request is malformed; ``errors`` names every fault found."""

    slug = "invalid-request"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(
            "The request is not valid; see errors.",
            {"errors": [{"pointer": e.pointer, "detail": e.detail} for e in errors]},
        )
        self.faults = tuple(errors)

    @classmethod
    def at(cls, pointer: str, detail: str) -> "InvalidRequestError":
        return cls([FieldError(pointer, detail)])


class IdempotencyMismatchError(CountersignError):
    """The same Idempotency-Key came with another body."""

    slug = "idempotency-mismatch"


class IdempotencyInProgressError(RetryLaterError):
    """The first request with this Idempotency-Key has not been answered yet."""

    slug = "idempotency-in-progress"


class RateLimitedError(RetryLaterError):
    """A limit is used up; member ``limit`` names which (recipient, client_ip, prefix, app ...)."""

    slug = "rate-limited"

    def __init__(self, limit: str, retry_after: float, window: Limit | None = None) -> None:
        super().__init__(
            f"The limit {limit!r} is used up; try again after the time in Retry-After.",
            retry_after,
            {"limit": limit},
        )
        self.limit = limit
        self.window = window

    @classmethod
    def of(cls, exceeded: Exceeded) -> "RateLimitedError":
        return cls(exceeded.limit, exceeded.retry_after / 1000, exceeded.window)


class ResendTooSoonError(RetryLaterError):
    """A resend was asked for before the verification's ``resend_after``."""

    slug = "resend-too-soon"


class UnavailableError(RetryLaterError):
    """Something that the answer needs is away or full: Redis, or the hash pool."""

    slug = "unavailable"
