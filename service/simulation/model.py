"""What the simulation takes for granted: people, countries, carriers, senders, and what breaks when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.domain.plan import Sender, SenderKind
from service.domain.verification import DeliveryStatus


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds that differ from case to case: a log-normal distribution by its median and sigma."""

    median: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Reports:
    """Shares of messages by what is reported of them; of the rest nothing is."""

    delivered: float
    failed: float
    unconfirmed: float

    def draw(self, at: float) -> DeliveryStatus | None:
        """What is reported of one message; ``at``: uniform in [0, 1)."""
        if at < self.delivered:
            return DeliveryStatus.DELIVERED
        if at < self.delivered + self.failed:
            return DeliveryStatus.DELIVERY_FAILED
        if at < self.delivered + self.failed + self.unconfirmed:
            return DeliveryStatus.DELIVERY_UNCONFIRMED
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How messages of a sender fare. ``refused``: by Telnyx, at once; ``arrives``: of those it takes;
    ``takes``: until it is on the phone; ``reported``: of what arrived, after ``report_takes`` more, and
    ``lost_reported`` of what did not. ``cost`` of a message, in the currency of all costs."""

    refused: float
    arrives: float
    takes: Spread
    reported: Reports
    lost_reported: Reports
    report_takes: Spread
    cost: float


Changes = Mapping[str, Any]
"""Some fields of a behaviour."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """``share`` of a country's people; ``lost`` and ``slow`` multiply what does not arrive, and how long
    it takes."""

    name: str
    share: float
    lost: float = 1.0
    slow: float = 1.0


@dataclass(frozen=True, slots=True)
class Country:
    """``share`` of all people; ``kinds`` as messages fare here; ``senders``: what is different of some."""

    code: str
    share: float
    carriers: Sequence[Carrier]
    kinds: Mapping[SenderKind, Behaviour]
    senders: Mapping[str, Changes]

    def behaviour(self, sender: Sender) -> Behaviour:
        return replace(self.kinds[sender.kind], **self.senders.get(sender.name, {}))


@dataclass(frozen=True, slots=True)
class Incident:
    """From one hour of the simulated time to another, messages fare as ``changes`` (fields of a behaviour)
    say. ``None``: of every country, kind or sender."""

    begins: float
    ends: float
    changes: Changes
    country: str | None = None
    kind: SenderKind | None = None
    sender: str | None = None

    def changed(self, found: Behaviour, country: str, sender: Sender, hour: float) -> Behaviour:
        """How a message fares that is sent at this hour."""
        here = self.country in (None, country) and self.kind in (None, sender.kind)
        if here and self.sender in (None, sender.name) and self.begins <= hour < self.ends:
            return replace(found, **self.changes)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """``logins`` of each within the simulated ``hours``. ``types``: who has a message types its code in,
    ``reads`` after it arrived, ``mistypes`` of them wrong at first. Who has none for the time of ``patience``
    asks for another, ``resends`` times at most. ``no_sms``: their numbers get none."""

    logins: float
    hours: float
    types: float
    mistypes: float
    reads: Spread
    patience: Spread
    resends: int
    no_sms: float


@dataclass(frozen=True, slots=True)
class Model:
    """All of it. ``kinds``: as messages fare where a country says nothing else."""

    people: People
    kinds: Mapping[SenderKind, Behaviour]
    countries: Sequence[Country]
    incidents: Sequence[Incident] = ()
