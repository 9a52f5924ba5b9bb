"""What an operator is told when a call of the account fails: one exception for each kind of answer.

The sending of codes does not raise these (``client.py``): there a refusal is a value that the decision
table reads. Sources: developers.telnyx.com, "API errors".
"""

from collections.abc import Sequence

import httpx

from service.telnyx.errors import TelnyxError, read_errors
from service.telnyx.http import read_json, retry_after

_ADVICE = {
    "10009": "Check TELNYX_API_KEY: Telnyx does not know it.",
    "10010": "The API key may not do this: use a key of an owner or administrator.",
    "10005": "Check the id: Telnyx has nothing under it (any more).",
    "10011": "Too many requests: wait, then try again.",
    "20012": "The account is not active: ask Telnyx support.",
    "20013": "The account is blocked: ask Telnyx support.",
    "20014": "Verify the account in the Telnyx portal first.",
    "20015": "The feature is off for this account: ask Telnyx support.",
    "20016": "This needs account level 1: upgrade it in the Telnyx portal.",
    "20017": "This needs account level 2: upgrade it in the Telnyx portal.",
    "20100": "Add funds to the Telnyx account.",
    "40300": "The recipient sent STOP to this messaging profile; only their START lifts it.",
    "40305": "Assign the number to the messaging profile, or send from another one.",
    "40306": "Set the alphanumeric sender of the messaging profile first.",
    "40309": "Allow the destination country in the messaging profile's whitelist.",
    "40310": "Check the recipient's number: it must be E.164.",
    "40312": "Enable the messaging profile.",
    "40318": "The sender's queue is full: wait, or send from another one.",
    "40321": "The number pool has no usable number: add numbers, or look at their health.",
    "40329": "Have the toll-free number verified in the Telnyx portal.",
    "40331": "Set the messaging profile's whitelist of destinations.",
    "40333": "The profile's daily spend limit is reached: raise it, or wait until midnight UTC.",
}


class TelnyxCallError(Exception):
    """A call that failed. ``errors`` are Telnyx's own, with code, title, detail and pointer;
    ``status`` is the HTTP status, ``None`` where no answer came."""

    advice = "Try again later; if it goes on, see https://status.telnyx.com."

    def __init__(self, status: int | None, errors: Sequence[TelnyxError] = ()) -> None:
        self.status = status
        self.errors = tuple(errors)
        super().__init__(self.explain())

    def explain(self) -> str:
        """What happened and what to do, for a person."""
        said = "; ".join(_in_words(error) for error in self.errors)
        advice = next((_ADVICE[e.code] for e in self.errors if e.code in _ADVICE), self.advice)
        answered = f"Telnyx answered {self.status}" if self.status else "Telnyx did not answer"
        return f"{answered}{': ' + said if said else ''}. {advice}"


class BadRequestError(TelnyxCallError):
    """400: the request is malformed, or its sender cannot be used so."""

    advice = "Check what was given against Telnyx's documentation of the call."


class UnauthorizedError(TelnyxCallError):
    """401: the API key is missing, wrong or revoked."""

    advice = "Check TELNYX_API_KEY."


class PaymentRequiredError(TelnyxCallError):
    """402: no funds."""

    advice = "Add funds to the Telnyx account."


class ForbiddenError(TelnyxCallError):
    """403: the key or the account may not do this."""

    advice = "The API key or the account lacks the permission: see the Telnyx portal."


class NotFoundError(TelnyxCallError):
    """404: no such thing, or no longer (messages are kept for 10 days)."""

    advice = "Check the id: Telnyx has nothing under it (any more)."


class ConflictError(TelnyxCallError):
    """409: it contradicts how things stand, as a STOP does."""

    advice = "Look at the present state first."


class UnprocessableError(TelnyxCallError):
    """422: a value is not what Telnyx takes."""

    advice = "Correct the value that is named."


class RateLimitedError(TelnyxCallError):
    """429: too many requests; ``retry_after`` is in milliseconds."""

    advice = "Too many requests: wait, then try again."

    def __init__(
        self, status: int | None, errors: Sequence[TelnyxError] = (), retry_after: int = 0
    ) -> None:
        super().__init__(status, errors)
        self.retry_after = retry_after


class ServerError(TelnyxCallError):
    """5xx: Telnyx failed; a write may or may not have been done."""


class UnreachableError(TelnyxCallError):
    """No answer came; a write may or may not have been done."""

    advice = "Check the network and the base URL; after a write, look whether it was done."


_BY_STATUS: dict[int, type[TelnyxCallError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    402: PaymentRequiredError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
}


def failure_of(response: httpx.Response, now: int) -> TelnyxCallError:
    """The exception for an answer that is no success; ``now`` is in milliseconds."""
    status, errors = response.status_code, read_errors(read_json(response))
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return RateLimitedError(status, errors, retry_after(response, now))
    if response.is_server_error:
        return ServerError(status, errors)
    return _BY_STATUS.get(status, BadRequestError)(status, errors)


def _in_words(error: TelnyxError) -> str:
    said = ", ".join(filter(None, [error.title, error.detail]))
    where = f" at {error.pointer}" if error.pointer else ""
    return f"{error.code}{where} {said}".strip().rstrip(".")
