"""Prices that were learnt, and what is reserved and spent against caps.

Prices and caps lie in the partitions of their keyed digests; a reservation lies beside its cap, so that it
is made, settled and given back in one step. Each is kept in the currency that it is in: another one knows
nothing of it."""

from collections.abc import Callable, Sequence

from service.domain.money import SLICES, Budget, Cap, OverCap
from service.store import keys
from service.store.scripts import Call, Reply, Scripts

_KEEP_PRICE = 90 * 86_400_000


class MoneyStore:
    """``digest`` is keyed: no prefix stands in Redis."""

    def __init__(
        self, scripts: Scripts, digest: Callable[[str, str], str], *, currency: str
    ) -> None:
        self._scripts = scripts
        self._digest = digest
        self._currency = currency

    def price_calls(self, prefix: str, country: str) -> list[Call]:
        """Ask what a message costs, to be run with whatever else a start asks of the store."""
        return [Call("price", {"price": key}, {}) for key in self._prices(prefix, country)]

    def read_price(self, replies: Sequence[Reply]) -> int | None:
        """The price of the prefix, or else of the country; ``None`` where neither is known."""
        return next((int(reply[1]) for reply in replies if reply[1]), None)

    async def learn(self, prefix: str, country: str, price: int) -> None:
        """A part of a message was paid for with ``price`` (micros)."""
        await self._scripts.run_all(
            [
                Call("learn_price", {"price": key}, {"paid": price, "keep": _KEEP_PRICE})
                for key in self._prices(prefix, country)
            ]
        )

    async def reserve(
        self, caps: Sequence[Cap], member: str, price: int, now: int
    ) -> OverCap | None:
        """Reserve a message's price against each cap in one round trip. Where one has no room, all others get
        it back, and the one that has room last is given."""
        replies = await self._scripts.run_all(
            [
                Call(
                    "reserve_money",
                    self._keys(cap, member),
                    {"now": now, "price": price, "windows": _windows(cap), "keep": _keep(cap)},
                )
                for cap in caps
            ]
        )
        refused = [
            OverCap(cap.limit, Budget(int(reply[1]), int(reply[2])), price, int(reply[3]))
            for cap, reply in zip(caps, replies, strict=True)
            if reply[0] == "limited"
        ]
        if not refused:
            return None
        await self.settle(caps, member, None)
        return max(refused, key=lambda one: one.retry_after)

    async def settle(self, caps: Sequence[Cap], member: str, cost: int | None) -> None:
        """Put a reservation right; with ``None`` it is given back."""
        paid = "" if cost is None else cost
        await self._scripts.run_all(
            [
                Call(
                    "settle_money",
                    self._keys(cap, member),
                    {"cost": paid, "windows": _windows(cap)},
                )
                for cap in caps
            ]
        )

    def _prices(self, prefix: str, country: str) -> list[str]:
        of = {"prefix": prefix, "country": country}
        return [
            keys.price(self._digest(f"price.{name}", f"{self._currency}|{value}"))
            for name, value in of.items()
        ]

    def _keys(self, cap: Cap, member: str) -> dict[str, str]:
        money = keys.money(cap.limit, self._digest(cap.limit, f"{self._currency}|{cap.value}"))
        return {"money": money, "held": f"{money}:{member}"}


def _windows(cap: Cap) -> str:
    return ",".join(f"{b.amount}/{b.seconds}/{SLICES[b.seconds]}" for b in cap.budgets)


def _keep(cap: Cap) -> int:
    """Milliseconds: the longest window, and the slice that it may reach back further."""
    return max(b.seconds * 1000 + b.seconds * 1000 // SLICES[b.seconds] for b in cap.budgets)
