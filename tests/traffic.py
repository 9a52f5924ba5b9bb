"""Traffic in virtual time: honest logins of many countries, and the known shapes of SMS pumping. Each
stream is in order of time; the same seed gives the same stream."""

import heapq
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from service.domain.ledger import Keys, Ledger
from service.domain.pumping import Dimension
from service.domain.tally import DAY

SECOND = 1_000
T0 = 20_000 * DAY
COUNTRIES = 50
SMALL = range(30, COUNTRIES)
"""Countries of little honest traffic: where pumping comes from."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message at ``at``, and when its code is typed in (``None``: never)."""

    at: int
    keys: Keys
    proven_at: int | None = None
    honest: bool = True


def keys(number: int, country: int, client: str, app: str) -> Keys:
    """``number``: eight digits within the country."""
    full = f"+{country + 200}{number:08d}"
    return {
        Dimension.RUN: full[:-2],
        Dimension.PREFIX: full[:-4],
        Dimension.CLIENT: client,
        Dimension.COUNTRY: str(country),
        Dimension.APP: app,
    }


@dataclass
class Honest:
    """People of 50 countries over three apps, by day more than by night. Of each hundred codes 60 to 90 are
    typed in, by country, 5 to 120 seconds after they were sent; who gets none asks once or twice
    more. A part of them shares an address with thousands."""

    seed: int
    a_day: int
    apps: tuple[str, ...] = ("shop", "bank", "game")
    _shares: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._shares = [1 / (n + 1) for n in range(COUNTRIES)]

    def stream(self, start: int, end: int) -> Iterator[Message]:
        rng = random.Random(self.seed)
        retries: list[tuple[int, int, Keys, float, int]] = []
        order = 0
        at = float(start)
        busiest = self.a_day * 1.6 / DAY
        while True:
            at += rng.expovariate(busiest)
            if at >= end:
                break
            while retries and retries[0][0] <= at:
                due, _, who, conversion, left = heapq.heappop(retries)
                message = self._message(rng, due, who, conversion)
                yield message
                if message.proven_at is None and left:
                    order += 1
                    heapq.heappush(retries, (due + 45 * SECOND, order, who, conversion, left - 1))
            country = rng.choices(range(COUNTRIES), self._shares)[0]
            if rng.random() > self._rate(at, country):
                continue
            who = self._who(rng, country)
            conversion = 0.6 + 0.3 * ((country * 7) % 10) / 9
            message = self._message(rng, int(at), who, conversion)
            yield message
            if message.proven_at is None and rng.random() < 0.5:
                order += 1
                retry_at = int(at) + rng.randrange(40, 150) * SECOND
                heapq.heappush(retries, (retry_at, order, who, conversion, rng.randrange(2)))

    def _rate(self, at: float, country: int) -> float:
        """Between a quarter and all of the busiest hour, by the country's clock."""
        local = (at / DAY + country / COUNTRIES) % 1
        return 0.625 + 0.375 * math.sin(2 * math.pi * local)

    def _who(self, rng: random.Random, country: int) -> Keys:
        shared = rng.random() < 0.2
        client = f"nat-{country}-{rng.randrange(4)}" if shared else f"home-{rng.getrandbits(40)}"
        return keys(rng.randrange(10**8), country, client, rng.choice(self.apps))

    def _message(self, rng: random.Random, at: int, who: Keys, conversion: float) -> Message:
        proven = rng.random() < conversion
        delay = int(rng.triangular(5, 120, 20) * SECOND)
        return Message(at, who, at + delay if proven else None)


Shape = Callable[[int, int, int], Iterator[Message]]


def _pump(every: int, number: Callable[[random.Random, int], Keys]) -> Shape:
    def stream(seed: int, start: int, count: int) -> Iterator[Message]:
        rng = random.Random(seed)
        for n in range(count):
            yield Message(start + n * every, number(rng, n), honest=False)

    return stream


def _bot(rng: random.Random) -> str:
    return f"bot-{rng.getrandbits(40)}"


PUMPING: dict[str, Shape] = {
    "consecutive numbers of one prefix, rotating clients": _pump(
        SECOND, lambda rng, n: keys(55_550_000 + n, 40, _bot(rng), "shop")
    ),
    "random numbers of one prefix": _pump(
        SECOND, lambda rng, n: keys(55_550_000 + rng.randrange(10_000), 41, _bot(rng), "shop")
    ),
    "one country, many prefixes, rotating clients": _pump(
        SECOND, lambda rng, n: keys(rng.randrange(10**8), 42, _bot(rng), "shop")
    ),
    "many countries, one client": _pump(
        SECOND, lambda rng, n: keys(rng.randrange(10**8), rng.randrange(COUNTRIES), "bot", "shop")
    ),
    "a slow drip into one prefix": _pump(
        60 * SECOND, lambda rng, n: keys(66_660_000 + rng.randrange(10_000), 43, _bot(rng), "shop")
    ),
    "many small countries, rotating clients": _pump(
        SECOND, lambda rng, n: keys(rng.randrange(10**8), rng.choice(SMALL), _bot(rng), "shop")
    ),
}


@dataclass(slots=True)
class Outcome:
    """What became of a stream: honest messages and pumping ones, sent or refused."""

    honest: int = 0
    refused: int = 0
    pumped: int = 0
    stopped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def run(ledger: Ledger, *streams: Iterator[Message]) -> Outcome:
    """Play streams against a ledger; who is refused proves nothing."""
    outcome = Outcome()
    proofs: list[tuple[int, int, Keys]] = []
    merged = heapq.merge(*streams, key=lambda message: message.at)
    for order, message in enumerate(merged):
        while proofs and proofs[0][0] <= message.at:
            at, _, proven = heapq.heappop(proofs)
            ledger.prove(proven, at)
        suspicion = ledger.start(message.keys, message.at)
        if suspicion is not None:
            reason = f"{suspicion.dimension}/{suspicion.block.window}"
            outcome.reasons[reason] = outcome.reasons.get(reason, 0) + 1
        outcome.honest += message.honest
        outcome.refused += message.honest and suspicion is not None
        outcome.pumped += not message.honest and suspicion is None
        outcome.stopped += not message.honest and suspicion is not None
        if suspicion is None and message.proven_at is not None:
            heapq.heappush(proofs, (message.proven_at, order, message.keys))
    for at, _, proven in sorted(proofs):
        ledger.prove(proven, at)
    return outcome
