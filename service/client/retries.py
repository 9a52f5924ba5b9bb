"""Which call is made again, and when. Pure.

What can be done twice to no effect (reads, ``record_opt_out``, and ``start`` and ``send_notice`` by their
idempotency key) is repeated after a lost connection, a timeout, 429, 502, 503, 504, and 409 while the first
one is still at work. All others (verify, resend, cancel, ``lift_opt_out``, what changes apps and keys) only
where surely nothing was done: no connection came about, or 429.
"""

from dataclasses import dataclass

import httpx

from service.client.errors import IdempotencyInProgressError, read_error, read_retry_after

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING = frozenset({502, 503, 504})
_BACKOFF = 0.2

Outcome = httpx.Response | httpx.RequestError


def was_sent(error: httpx.RequestError) -> bool:
    """Whether the request may have arrived."""
    return not isinstance(error, _NEVER_LEFT)


@dataclass(frozen=True, slots=True)
class Retries:
    """``tries``: the most that a call is made. ``longest``: seconds; an answer that asks to wait for longer
    is given to the caller at once."""

    tries: int = 3
    longest: float = 5.0

    def wait(
        self, outcome: Outcome, tried: int, *, repeatable: bool, jitter: float
    ) -> float | None:
        """Seconds until the next try, of which ``tried`` were made; None: there is none.

        ``jitter``, from 0 to 1, spreads the clients of a service that comes back.
        """
        if tried >= self.tries or not _may_pass(outcome, repeatable):
            return None
        backoff = _BACKOFF * 2.0 ** (tried - 1) * (0.5 + jitter / 2)
        asked = read_retry_after(outcome) if isinstance(outcome, httpx.Response) else None
        delay = max(backoff, asked or 0)
        return delay if delay <= self.longest else None


RETRIES = Retries()


def _may_pass(outcome: Outcome, repeatable: bool) -> bool:
    if isinstance(outcome, httpx.RequestError):
        return repeatable or not was_sent(outcome)
    if outcome.status_code == 429:
        return True
    if not repeatable:
        return False
    if outcome.status_code == 409:
        return isinstance(read_error(outcome), IdempotencyInProgressError)
    return outcome.status_code in _PASSING
