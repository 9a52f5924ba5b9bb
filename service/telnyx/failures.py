"""What an operator is told when a call of the account fails: one exception for each kind of answer.

The sending of codes does not raise these (``client.py``): there a refusal is a value that the decision
table reads. Sources: developers.telnyx.com, "API errors".
"""

import math
from collections.abc import Sequence

import httpx

from service.telnyx.errors import TelnyxError, read_errors
from service.telnyx.http import read_json, told_to_wait

_ADVICE = {
    "10009": "Check TELNYX_API_KEY: Telnyx does not know it.",
    "10010": "The API key may not do this: use a key of an owner or administrator.",
    "10002": "Write the number as E.164, such as +12025550123.",
    "10005": "Check the id: Telnyx has nothing under it (any more).",
    "10011": "Too many requests: wait, then try again.",
    "10016": "Write the number as E.164, such as +12025550123.",
    "10038": "The account may not use this: see the Telnyx portal, or ask Telnyx support.",
    "10039": "The account is limited: on trial it reaches only numbers verified in the portal.",
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
    "40314": "Messaging is off for the account: ask Telnyx support.",
    "40315": "The sender is unhealthy: send from another one.",
    "40318": "The sender's queue is full: wait, or send from another one.",
    "40320": "The sender cannot be used for now: send from another one.",
    "40321": "The number pool has no usable number: add numbers, or look at their health.",
    "40329": "Have the toll-free number verified in the Telnyx portal.",
    "40331": "Set the messaging profile's whitelist of destinations.",
    "40333": "The profile's daily spend limit is reached: raise it, or wait until midnight UTC.",
}


class TelnyxCallError(Exception):
    """A call that failed.

    Attributes:
        status: the HTTP status; ``None`` where no answer came.
        errors: Telnyx's own, with code, title, detail and pointer.
        retry_after: milliseconds that Telnyx asks to wait; ``None`` if it does not say.
        maybe_done: whether what was to be changed or sent may have been, all the same.
    """

    advice = "Try again later; if it goes on, see https://status.telnyx.com."

    def __init__(
        self,
        status: int | None,
        errors: Sequence[TelnyxError] = (),
        *,
        retry_after: int | None = None,
        maybe_done: bool = False,
    ) -> None:
        self.status = status
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.maybe_done = maybe_done
        super().__init__(self.explain())

    def explain(self) -> str:
        """What happened and what to do, for a person."""
        said = "; ".join(_in_words(error) for error in self.errors)
        told = [next((_ADVICE[e.code] for e in self.errors if e.code in _ADVICE), self.advice)]
        if self.retry_after is not None:
            told.append(f"It asks to wait for {math.ceil(self.retry_after / 1000)} s.")
        if self.maybe_done:
            told.append("It may have been done all the same: look before you repeat it.")
        return f"{self._what_happened()}{': ' + said if said else ''}. {' '.join(told)}"

    def _what_happened(self) -> str:
        return f"Telnyx answered {self.status}" if self.status else "Telnyx did not answer"


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

    advice = "Check the id, and telnyx_base_url."


class ConflictError(TelnyxCallError):
    """409: it contradicts how things stand, as a STOP does."""

    advice = "Look at the present state first."


class UnprocessableError(TelnyxCallError):
    """422: a value is not what Telnyx takes."""

    advice = "Correct the value that is named."


class RateLimitedError(TelnyxCallError):
    """429: too many requests."""

    advice = "Too many requests: wait, then try again."


class ServerError(TelnyxCallError):
    """5xx, or 408: Telnyx failed."""

    advice = "It has trouble of its own: see https://status.telnyx.com."


class UnreachableError(TelnyxCallError):
    """No connection, or no answer over it."""

    advice = "Check the network and telnyx_base_url."


class UnexpectedAnswerError(TelnyxCallError):
    """An answer that Telnyx does not give to such a call: a page of a proxy, a redirection."""

    advice = "Check telnyx_base_url, and whether a proxy answers instead."

    def _what_happened(self) -> str:
        return f"{super()._what_happened()}, but not as it documents it"


class NoIdError(TelnyxCallError):
    """Nothing was asked, because an empty id would name something else."""

    advice = "Give the id of what is meant."

    def __init__(self) -> None:
        super().__init__(None)

    def _what_happened(self) -> str:
        return "An id is empty, so Telnyx was not asked"


_BY_STATUS: dict[int, type[TelnyxCallError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    402: PaymentRequiredError,
    403: ForbiddenError,
    404: NotFoundError,
    408: ServerError,
    409: ConflictError,
    422: UnprocessableError,
    429: RateLimitedError,
}


def failure_of(response: httpx.Response, now: int, *, is_read: bool) -> TelnyxCallError:
    """The exception for an answer that is no success; ``now`` is in milliseconds."""
    status, kind = response.status_code, _kind(response)
    return kind(
        status,
        read_errors(read_json(response)),
        retry_after=told_to_wait(response, now) if status in (429, 503) else None,
        maybe_done=kind is ServerError and not is_read,
    )


def _kind(response: httpx.Response) -> type[TelnyxCallError]:
    if response.is_server_error:
        return ServerError
    other = BadRequestError if response.is_client_error else UnexpectedAnswerError
    return _BY_STATUS.get(response.status_code, other)


def _in_words(error: TelnyxError) -> str:
    said = ", ".join(filter(None, [error.title, error.detail]))
    where = f" at {error.pointer}" if error.pointer else ""
    return f"{error.code}{where} {said}".strip().rstrip(".")
