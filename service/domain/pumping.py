"""SMS pumping: messages that somebody has sent to numbers of theirs to earn a share of the fee. Nobody types
those codes in, so what gives it away is sends against proven codes.

Each start counts under five keys, from the narrowest to the widest: the run of consecutive numbers, the
prefix, the client's network, the country, the app. A key trips where its unproven messages in an hour
or a day are more than ::

    max(floor, share x most that was proven in such a time, of 14 days, chance) + usual x proven

``usual`` is how many unproven messages come with a proven one there, as the days before showed; until
they have shown something, what ``min_conversion`` allows. So a launch whose people type their codes
does not trip, and a country of much traffic is not judged by the floor of a small one. ``chance`` is six
standard deviations of how many of as many people do not type theirs.

A key that trips is blocked for a time that doubles with each repetition; what it tripped for is written
off. After that it is on probation: it trips at a fraction, which its proven codes bring back to the whole.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address

from service.domain.guard import network_of
from service.domain.recipient import Recipient
from service.domain.tally import Count, Figures

RULE = "pumping"
_RUN_DIGITS = 2
_HOUR, _DAY = 3_600, 86_400
PROBATION = 24 * 3_600_000
"""How long (milliseconds) a key is on probation after its block, and its strikes are remembered."""
_PROBATION_SHARE, _REGAINED = 0.25, 0.2
_DEVIATIONS = 6
_PRIOR = 20
"""How many proven codes of the past weigh as much as the assumption of ``min_conversion``."""
_RUSH = 0.5
"""A block ends at once when so much of what tripped it was proven after all: it was a rush."""


class Dimension(StrEnum):
    """From the narrowest to the widest: the narrowest key that trips is the one that is blocked."""

    RUN = "run"
    PREFIX = "prefix"
    CLIENT = "client"
    COUNTRY = "country"
    APP = "app"


_NARROW_FIRST = tuple(Dimension)


class Mode(StrEnum):
    """``record_only`` does everything but refuse."""

    OFF = "off"
    RECORD_ONLY = "record_only"
    BLOCK = "block"


class Exemption(StrEnum):
    """Why a start is counted, but not judged."""

    KNOWN = "known"
    PREFIX = "prefix"
    CLIENT = "client"
    COUNTRY = "country"
    APP = "app"


FLOORS: Mapping[Dimension, tuple[int, int]] = {
    Dimension.RUN: (8, 14),
    Dimension.PREFIX: (20, 50),
    Dimension.CLIENT: (30, 90),
    Dimension.COUNTRY: (50, 100),
    Dimension.APP: (70, 300),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeList:
    """Whose starts are never judged: countries, beginnings of numbers, apps, networks of end users."""

    countries: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    apps: frozenset[str] = frozenset()
    clients: tuple[IPv4Network | IPv6Network, ...] = ()

    def exempts(self, recipient: Recipient, *, app: str, client_ip: str | None) -> Exemption | None:
        if recipient.e164.startswith(self.prefixes):
            return Exemption.PREFIX
        if client_ip is not None and any(ip_address(client_ip) in net for net in self.clients):
            return Exemption.CLIENT
        return self.exempts_place(recipient.country, app)

    def exempts_place(self, country: str, app: str) -> Exemption | None:
        """What can be said without the number and the address."""
        if country in self.countries:
            return Exemption.COUNTRY
        return Exemption.APP if app in self.apps else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpingPolicy:
    """``floors``: unproven messages in an hour and in a day. ``hold``, ``longest_hold``: milliseconds."""

    mode: Mode = Mode.RECORD_ONLY
    floors: Mapping[Dimension, tuple[int, int]] = field(default_factory=lambda: FLOORS)
    share: float = 0.2
    min_conversion: float = 0.35
    hold: int = 900_000
    longest_hold: int = 86_400_000
    safe: SafeList = SafeList()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A key that tripped: until when (milliseconds), for which time in a row, and on what evidence.
    ``window`` is in seconds."""

    until: int
    strikes: int
    window: int
    sent: int
    proven: int
    threshold: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A key as its tally has it, and its block or what is left of one."""

    figures: Figures
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The key for which a start is to be refused; ``trips`` where it was not blocked before."""

    dimension: Dimension
    block: Block
    trips: bool

    def to_members(self) -> dict[str, object]:
        """What a program can read of it: the figures at which the key tripped."""
        block = asdict(self.block)
        return {"dimension": self.dimension} | {
            name: block[name] for name in ("window", "sent", "proven", "threshold")
        }


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a verification's record keeps: the keyed digests that it counts under, why it was not judged,
    and whether it was sent only because nothing is blocked yet (it then counts under none)."""

    keys: Mapping[Dimension, str]
    exempt: str | None = None
    suspected: bool = False

    def to_event(self) -> dict[str, object]:
        event: dict[str, object] = {"keys": dict(self.keys)}
        if self.exempt is not None:
            event["exempt"] = self.exempt
        return event


def values_of(recipient: Recipient, *, app: str, client_ip: str | None) -> dict[Dimension, str]:
    """What a start counts under. The last two digits are the run's: whoever counts numbers up or down
    stays in it."""
    values = {
        Dimension.RUN: recipient.e164[:-_RUN_DIGITS],
        Dimension.PREFIX: recipient.prefix,
        Dimension.COUNTRY: recipient.country,
        Dimension.APP: app,
    }
    if client_ip is not None:
        values[Dimension.CLIENT] = network_of(client_ip)
    return values


def judge(
    standings: Mapping[Dimension, Standing], policy: PumpingPolicy, now: int
) -> Suspicion | None:
    """Whether a start, counted already in each of its keys, is to be refused."""
    ordered = [(name, standings[name]) for name in _NARROW_FIRST if name in standings]
    for dimension, standing in ordered:
        block = standing.block
        if block is not None and now < block.until and not _was_rush(block, standing.figures):
            return Suspicion(dimension, block, trips=False)
    for dimension, standing in ordered:
        tripped = _trip(dimension, standing, policy, now)
        if tripped is not None:
            return Suspicion(dimension, tripped, trips=True)
    return None


def _was_rush(block: Block, figures: Figures) -> bool:
    # Nothing is sent under a blocked key, so what is proven there was sent before it tripped.
    return -figures.day.unproven >= _RUSH * (block.sent - block.proven)


def _trip(
    dimension: Dimension, standing: Standing, policy: PumpingPolicy, now: int
) -> Block | None:
    figures, block = standing.figures, standing.block
    if block is not None and now >= block.until + PROBATION:
        block = None
    hourly, daily = policy.floors[dimension]
    if block is None and figures.hour.unproven <= hourly and figures.day.unproven <= daily:
        return None  # As most: no threshold is below its floor.
    windows: Sequence[tuple[int, Count, int, int]] = (
        (_HOUR, figures.hour, hourly, figures.peak_hour),
        (_DAY, figures.day, daily, figures.peak_day),
    )
    usual = usual_unproven(figures.past, policy)
    for window, count, floor, peak in windows:
        allowed = max(float(floor), policy.share * peak, _chance(count, figures.past, usual))
        if block is not None:
            regained = math.ceil(allowed * _PROBATION_SHARE) + count.proven * _REGAINED
            allowed = min(allowed, regained)
        threshold = math.floor(allowed + usual * count.proven)
        if count.unproven > threshold:
            strikes = block.strikes + 1 if block is not None else 1
            return Block(
                until=now + min(policy.hold * 2 ** (strikes - 1), policy.longest_hold),
                strikes=strikes,
                window=window,
                sent=count.sent,
                proven=count.proven,
                threshold=threshold,
            )
    return None


def _chance(count: Count, past: Count, usual: float) -> float:
    """Of n sends each is proven with probability 1 / (1 + usual), so that ``unproven - usual x proven`` has
    the variance proven x usual x (1 + usual). Without a past there is nothing to deviate from, and
    ``min_conversion`` is wide already."""
    deviation = math.sqrt(max(count.proven, 0) * usual * (1 + usual))
    return _DEVIATIONS * deviation * past.proven / (past.proven + _PRIOR)


def usual_unproven(past: Count, policy: PumpingPolicy) -> float:
    """How many unproven messages come with a proven one: at most what ``min_conversion`` allows."""
    most = (1 - policy.min_conversion) / policy.min_conversion
    return min(most, (max(past.unproven, 0) + most * _PRIOR) / (past.proven + _PRIOR))
