"""Money: what messages may cost, in millionths (micros) of one currency.

An estimate is reserved before a message is sent and settled by the ``cost`` of its report. At any instant
what was spent in a window is at most ::

    cap + sum over the messages in flight of max(0, true cost - reserved)

for at the last reservation the settled costs and all reservations together were within the cap. So a
price that jumps is paid for the messages in flight, and for none after them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, InvalidOperation

MICROS = 1_000_000
ANY_COUNTRY = "*"
"""In ``MoneyPolicy.countries``: the cap of each country that is not listed."""
SLICES: Mapping[int, int] = {3_600: 60, 86_400: 96}
"""Into how many slices a window (seconds) is cut. A slice counts until all of it has left the window, so no
window ever holds more than its cap, and money comes free a slice later than it might."""
_MOST = Decimal(1_000_000)
_FALLS_BY = 16


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``amount`` (micros) in any ``seconds``."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Cap:
    """The budgets of one app, one country or everything (``limit`` says which)."""

    limit: str
    value: str
    budgets: tuple[Budget, ...]


@dataclass(frozen=True, slots=True)
class OverCap:
    """A cap that has no room for ``price`` (micros). ``retry_after`` is in milliseconds."""

    limit: str
    budget: Budget
    price: int
    retry_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyPolicy:
    """The caps. ``default_price`` (micros) stands for a message to where none was ever paid for."""

    currency: str = "USD"
    default_price: int = 100_000
    total: tuple[Budget, ...] = ()
    apps: Mapping[str, tuple[Budget, ...]] = field(default_factory=dict)
    countries: Mapping[str, tuple[Budget, ...]] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Without a cap nothing is reserved, and no price is learnt."""
        return bool(self.total or self.apps or self.countries)

    def caps(self, app: str, country: str) -> tuple[Cap, ...]:
        """What a message of the app to the country counts against."""
        of_country = self.countries.get(country, self.countries.get(ANY_COUNTRY, ()))
        found = (
            Cap("spend", "", self.total),
            Cap("spend_app", app, self.apps.get(app, ())),
            Cap("spend_country", country, of_country),
        )
        return tuple(cap for cap in found if cap.budgets)


def read_amount(text: str) -> int | None:
    """Micros of a decimal amount, rounded up; ``None`` for what is no amount of money."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= _MOST:
        return None
    return int((amount * MICROS).to_integral_value(ROUND_CEILING))


def show_amount(micros: int) -> str:
    """As Telnyx writes amounts: ``0.0051``."""
    return f"{Decimal(micros) / MICROS:f}"


def price_of_part(cost: int, parts: int) -> int:
    """What one part of the message cost, rounded up."""
    return -(-cost // max(parts, 1))


def learn(estimate: int | None, price: int) -> int:
    """The estimate after a further price was paid; ``learn_price.lua`` does the same.

    It rises at once and falls slowly: too high an estimate is put right by the message's own report, minutes
    later; too low a one was overspent by then.
    """
    if estimate is None or price >= estimate:
        return price
    return estimate - (estimate - price) // _FALLS_BY
