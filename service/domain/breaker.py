"""A breaker for each route that Telnyx closed: nothing is tried there for a while, then one message at a
time.

The scope of 40020 (suspected traffic inflation) is not documented, so the narrowest is taken: the numbers
that share all but their last four digits. A refused message costs nothing, so what is held more widely is
found out for nothing. 40333 (daily spend limit) is the messaging profile's, so the route is the profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.plan import Sender
from service.domain.verification import (
    Delivery,
    DeliveryStatus,
    Fault,
    HeldBack,
    ProviderError,
    Verification,
)

RULE = "breaker"
INFLATION, SPEND_LIMIT = "40020", "40333"
FORGOTTEN = 24 * 3_600_000
"""How long (milliseconds) after its end an open breaker is remembered where nobody sends."""
MOST = 1_000
_UNDER_WAY = {DeliveryStatus.QUEUED, DeliveryStatus.SENDING}
_CODES = frozenset({INFLATION, SPEND_LIMIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """``hold``: how long a breaker is open for the first time, twice as long each further time in a row, at
    most ``longest_hold``. Then one message each ``probe_every`` is tried. All in milliseconds."""

    hold: int = 300_000
    longest_hold: int = 4 * 3_600_000
    probe_every: int = 30_000


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of one message."""

    range: str
    profile: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.range, self.profile)

    def closed_by(self, code: str) -> str:
        return self.profile if code == SPEND_LIMIT else self.range


def routes_of(range_digest: str, sender: Sender | None) -> Routes:
    """``range_digest``: the keyed digest of the number without its last four digits."""
    profile = sender.messaging_profile_id if sender is not None else None
    return Routes(f"range:{range_digest}", f"profile:{profile or 'default'}")


def held(at: int) -> HeldBack:
    """A message that an open breaker held back. Telnyx would have refused it, so it ends as if it had."""
    error = ProviderError(RULE, "The route is closed for now; nothing was sent")
    return HeldBack(at, Fault.BLOCKED, (error,))


def what_closed(delivery: Delivery) -> str | None:
    """Telnyx's code for which the delivery's route is to be closed."""
    if delivery.fault is not Fault.BLOCKED:
        return None
    return next((error.code for error in delivery.errors if error.code in _CODES), None)


def passed(v: Verification, proven: int | None = None) -> Mapping[str, int]:
    """The routes that a probe of this verification went through, and when it was begun: a report says that
    the message left, or the person typed its code (``proven``: of which delivery)."""
    return {
        d.probe: d.begun_at for d in v.deliveries if d.probe and (d.number == proven or _left(d))
    }


def _left(delivery: Delivery) -> bool:
    report = delivery.report
    return (
        report is not None and report.status not in _UNDER_WAY and report.fault is not Fault.BLOCKED
    )
