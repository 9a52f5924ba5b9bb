"""``[money]`` and ``[guard.breaker]``: caps on what messages cost, and how long a closed route rests."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.domain.breaker import BreakerPolicy
from service.domain.money import MICROS, Budget, MoneyPolicy

_Amount = Annotated[Decimal, Field(gt=0, le=1_000_000_000, decimal_places=6)]
_HOUR, _DAY = 3_600, 86_400


class CapSection(BaseModel):
    """The most that may be spent in any hour and in any day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hour: _Amount | None = None
    day: _Amount | None = None

    @model_validator(mode="after")
    def _each_matters(self) -> "CapSection":
        if self.hour is not None and self.day is not None and self.hour > self.day:
            raise ValueError("hour is more than day, so it would never be reached")
        return self

    def budgets(self) -> tuple[Budget, ...]:
        given = ((self.hour, _HOUR), (self.day, _DAY))
        return tuple(Budget(_micros(a), seconds) for a, seconds in given if a is not None)


class MoneySection(CapSection):
    """``[money]``: its own ``hour`` and ``day`` are about everything, those of ``apps`` and ``countries``
    (``*``: each country that is not listed) about one. Amounts are in ``currency``."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    default_price: _Amount = Decimal("0.1")
    """Of a message to where none was ever paid for."""
    apps: dict[str, CapSection] = {}
    countries: dict[Annotated[str, Field(pattern=r"^([A-Z]{2}|\*)$")], CapSection] = {}

    @model_validator(mode="after")
    def _lets_one_message_through(self) -> "MoneySection":
        tables = {"": self, **{f"apps.{name}.": cap for name, cap in self.apps.items()}}
        tables |= {f"countries.{name}.": cap for name, cap in self.countries.items()}
        for name, cap in tables.items():
            for window in ("hour", "day"):
                amount = getattr(cap, window)
                if amount is not None and amount < self.default_price:
                    raise ValueError(
                        f"{name}{window} is less than default_price ({self.default_price}): nothing "
                        "could ever be sent"
                    )
        return self

    def policy(self) -> MoneyPolicy:
        return MoneyPolicy(
            currency=self.currency,
            default_price=_micros(self.default_price),
            total=self.budgets(),
            apps={name: cap.budgets() for name, cap in self.apps.items()},
            countries={name: cap.budgets() for name, cap in self.countries.items()},
        )


class BreakerSection(BaseModel):
    """``[guard.breaker]``, in seconds: the first time that a route rests, the longest, and how often a
    message is then tried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hold: Annotated[float, Field(ge=1, le=86_400)] = 300
    longest_hold: Annotated[float, Field(ge=1, le=86_400)] = 14_400
    probe_every: Annotated[float, Field(ge=1, le=3_600)] = 30

    def policy(self) -> BreakerPolicy:
        hold, longest, pause = (
            int(seconds * 1000) for seconds in (self.hold, self.longest_hold, self.probe_every)
        )
        return BreakerPolicy(hold=hold, longest_hold=max(hold, longest), probe_every=pause)


def _micros(amount: Decimal) -> int:
    return int(amount * MICROS)
