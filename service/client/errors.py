"""What can go wrong, one class per problem type of the service (README.md, "Errors").

Nothing in here holds the API key, a code or a number: a problem's detail never repeats what was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from service.client.answers import NoticeStatus, Status

_MEDIA_TYPE = "application/problem+json"
_BY_SLUG: dict[str, type["ProblemError"]] = {}


class CountersignError(Exception):
    """All that this client raises for a call."""


class UnreachableError(CountersignError):
    """No answer came. ``sent``: the request may have arrived, so what it asks for may have been done."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason, sent)
        self.reason = reason
        self.sent = sent

    def __str__(self) -> str:
        happened = "what it asked for may have been done" if self.sent else "nothing was done"
        return f"Countersign did not answer ({self.reason}); {happened}."


class UnexpectedAnswerError(CountersignError):
    """An answer that is not the service's: something between it and us, or another address altogether."""

    def __init__(self, status_code: int) -> None:
        super().__init__(status_code)
        self.status_code = status_code

    def __str__(self) -> str:
        return f"An answer with status {self.status_code} that is not Countersign's; check the URL."


@dataclass(frozen=True, slots=True)
class Problem:
    """RFC 9457 problem details. ``retry_after``: seconds; None where a repetition would not help."""

    slug: str
    status_code: int
    title: str
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)
    retry_after: int | None = None


class ProblemError(CountersignError):
    """The service refused, and says why; the classes below are its reasons. This one itself stands for a
    reason that a newer service has."""

    slug: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if cls.slug:
            _BY_SLUG[cls.slug] = cls

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem.slug}: {self.problem.detail}"

    @property
    def detail(self) -> str:
        """What is wrong, and what to do: for a log, not for the person who logs in."""
        return self.problem.detail

    @property
    def status_code(self) -> int:
        return self.problem.status_code

    @property
    def retry_after(self) -> int | None:
        """Seconds after which the same call can succeed; None where it cannot."""
        return self.problem.retry_after

    def _word(self, member: str) -> str:
        return str(self.problem.members.get(member, ""))


class UnauthorizedError(ProblemError):
    """No API key, or one that is unknown or revoked."""

    slug = "unauthorized"


class ForbiddenError(ProblemError):
    """The API key lacks the scope ``scope``."""

    slug = "forbidden"

    @property
    def scope(self) -> str:
        return self._word("scope")


class RecipientOptedOutError(ProblemError):
    """The person asked for no more messages; a START of theirs ends that."""

    slug = "recipient-opted-out"


class CountryNotAllowedError(ProblemError):
    """No route is configured for the number's country."""

    slug = "country-not-allowed"


class NumberTypeNotAllowedError(ProblemError):
    """A landline, a premium rate number and the like, which get no codes."""

    slug = "number-type-not-allowed"


class SuspectedFraudError(ProblemError):
    """SMS pumping is suspected. In ``window`` seconds ``sent`` messages went to this ``dimension`` (prefix,
    country ...), and ``proven`` codes came back."""

    slug = "suspected-fraud"

    @property
    def dimension(self) -> str:
        return self._word("dimension")

    @property
    def window(self) -> int:
        return self._number("window")

    @property
    def sent(self) -> int:
        return self._number("sent")

    @property
    def proven(self) -> int:
        return self._number("proven")

    @property
    def threshold(self) -> int:
        return self._number("threshold")

    def _number(self, member: str) -> int:
        return int(self.problem.members.get(member, 0))


class NotFoundError(ProblemError):
    """Unknown, or another app's."""

    slug = "not-found"


class MethodNotAllowedError(ProblemError):
    """The path does not take the method: the service is of another version than this client."""

    slug = "method-not-allowed"


class NoticeClosedError(ProblemError):
    """The notice has left, or was taken back: ``status``."""

    slug = "notice-closed"

    @property
    def status(self) -> NoticeStatus:
        return NoticeStatus(self._word("status"))


class VerificationClosedError(ProblemError):
    """The verification has ended: ``status`` says how. Start a new one."""

    slug = "verification-closed"

    @property
    def status(self) -> Status:
        return Status(self._word("status"))


class TransactionMismatchError(ProblemError):
    """The code approves another transaction than verify named, or verify named none."""

    slug = "transaction-mismatch"


class AppExistsError(ProblemError):
    """The app has a definition: give ``if_match`` to replace it."""

    slug = "app-exists"


class AppChangedError(ProblemError):
    """The app is not, or no longer, in the state that ``if_match`` names: read it again."""

    slug = "app-changed"


class IdempotencyInProgressError(ProblemError):
    """The first call with this idempotency key is still at work."""

    slug = "idempotency-in-progress"


class IdempotencyMismatchError(ProblemError):
    """The idempotency key was used for something else before."""

    slug = "idempotency-mismatch"


class PayloadTooLargeError(ProblemError):
    """More was sent than the call takes."""

    slug = "payload-too-large"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault: a JSON pointer (RFC 6901) into what was sent, such as ``/to``, and what is wrong there."""

    pointer: str
    detail: str


class InvalidRequestError(ProblemError):
    """What was sent is not valid; ``errors`` names every fault."""

    slug = "invalid-request"

    @property
    def errors(self) -> Sequence[FieldError]:
        faults = self.problem.members.get("errors", ())
        return tuple(FieldError(str(f["pointer"]), str(f["detail"])) for f in faults)

    def __str__(self) -> str:
        faults = "; ".join(f"{fault.pointer} {fault.detail}".strip() for fault in self.errors)
        return f"{super().__str__()} {faults}"


class RateLimitedError(ProblemError):
    """A limit is used up; ``limit`` names which (recipient, client_ip, wrong_codes ...)."""

    slug = "rate-limited"

    @property
    def limit(self) -> str:
        return self._word("limit")


class ResendTooSoonError(ProblemError):
    """A resend before the verification's ``resend_after``."""

    slug = "resend-too-soon"


class InternalError(ProblemError):
    """A fault of the service's own; its log has it."""

    slug = "internal-error"


class UnavailableError(ProblemError):
    """Something that the service needs is away or full for the moment."""

    slug = "unavailable"


def read_error(answer: httpx.Response) -> CountersignError:
    """The error that an answer is."""
    if answer.headers.get("content-type", "").partition(";")[0] != _MEDIA_TYPE:
        return UnexpectedAnswerError(answer.status_code)
    try:
        members = dict(answer.json())
        problem = Problem(
            slug=str(members.pop("type")).rpartition("/")[2],
            status_code=answer.status_code,
            title=str(members.pop("title")),
            detail=str(members.pop("detail")),
            members=members,
            retry_after=read_retry_after(answer),
        )
    except (ValueError, TypeError, KeyError):
        return UnexpectedAnswerError(answer.status_code)
    return _BY_SLUG.get(problem.slug, ProblemError)(problem)


def read_retry_after(answer: httpx.Response) -> int | None:
    """Seconds; the form with a date (RFC 9110, section 10.2.3) is not the service's."""
    value = answer.headers.get("retry-after", "")
    return int(value) if value.isascii() and value.isdigit() else None
