"""Money: the price of each message is reserved before it is sent, settled by its report, and given back
where it was not sent. A crash in between counts too much until the window ends, never too little."""

from collections.abc import Sequence

import structlog

from service.clock import Clock
from service.domain import audit
from service.domain.audit import EventType
from service.domain.keyring import Keyring
from service.domain.money import (
    MoneyPolicy,
    OverCap,
    price_of_part,
    read_amount,
    show_amount,
)
from service.domain.recipient import Recipient, prefix_of
from service.domain.verification import (
    Fault,
    HeldBack,
    ProviderError,
    Report,
    Verification,
)
from service.store.limits import LimitStore
from service.store.money import MoneyStore
from service.store.scripts import Call, Reply
from service.telemetry import Metrics

RULE = "spend"
log = structlog.get_logger(__name__)


class Spending:
    """Caps in money. Without any it asks nothing of the store."""

    def __init__(
        self,
        *,
        store: MoneyStore,
        limits: LimitStore,
        policy: MoneyPolicy,
        keyring: Keyring,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._limits = limits
        self._policy = policy
        self._keyring = keyring
        self._clock = clock
        self._metrics = metrics

    @property
    def is_on(self) -> bool:
        return self._policy.is_on

    def calls(self, recipient: Recipient) -> list[Call]:
        """Ask for the price, to be run with whatever else a start asks of the store."""
        if not self._policy.is_on:
            return []
        return self._store.price_calls(recipient.prefix, recipient.country)

    def price(self, replies: Sequence[Reply], segments: int = 1) -> int | None:
        """What a message is expected to cost (micros); ``None`` where no cap asks."""
        if not self._policy.is_on:
            return None
        found = self._store.read_price(replies)
        return segments * (self._policy.default_price if found is None else found)

    async def reserve_start(
        self, id_: str, app: str, country: str, price: int | None
    ) -> OverCap | None:
        """Reserve the first message of what is about to be created."""
        return await self._reserve(app, country, _member(id_, 1), price)

    async def give_back_start(self, id_: str, app: str, country: str) -> None:
        """Nothing was created after all."""
        await self._settle(app, country, _member(id_, 1), None)

    async def reserve(self, v: Verification, number: int) -> HeldBack | None:
        """Reserve a further message of a verification, or say why it must not be sent."""
        over = await self._reserve(v.app, v.country, _member(v.id, number), v.price)
        if over is None:
            return None
        now = self._clock.now()
        self._metrics.limited(over.limit)
        blocked = audit.of_verification(EventType.GUARD_BLOCKED, v, now, actor="countersign")
        await self._limits.record_blocked(v.recipient_id, blocked | self.figures(over))
        error = ProviderError(over.limit, "A spending cap is used up; nothing was sent")
        return HeldBack(now, Fault.SPEND, (error,), over.retry_after)

    async def give_back(self, v: Verification, number: int) -> None:
        """Telnyx made no message of a delivery."""
        await self._settle(v.app, v.country, _member(v.id, number), None)

    async def reported(self, v: Verification, number: int, report: Report) -> None:
        """Settle a message by what its report says that it cost, and learn the price."""
        if not self._policy.is_on or not report.is_final or report.cost is None:
            return
        cost = read_amount(report.cost)
        if cost is None or report.currency != self._policy.currency:
            reason = "unreadable" if cost is None else "currency"
            self._metrics.cost_ignored(reason)
            log.warning("money.cost_ignored", reason=reason, verification=v.id)
            return
        await self._settle(v.app, v.country, _member(v.id, number), cost)
        if cost:  # What failed may cost nothing, which says nothing of the price.
            prefix = prefix_of(self._keyring.unseal(v.key_id, v.sealed))
            await self._store.learn(prefix, v.country, price_of_part(cost, report.parts))

    def figures(self, over: OverCap) -> dict[str, object]:
        """What the event of a refusal says of the cap."""
        return {
            "rule": RULE,
            "limit": over.limit,
            "cap": show_amount(over.budget.amount),
            "price": show_amount(over.price),
            "currency": self._policy.currency,
            "window": over.budget.seconds,
            "retry_after": over.retry_after,
        }

    async def _reserve(
        self, app: str, country: str, member: str, price: int | None
    ) -> OverCap | None:
        caps = self._policy.caps(app, country)
        if not caps:
            return None
        wanted = self._policy.default_price if price is None else price
        return await self._store.reserve(caps, member, wanted, self._clock.now())

    async def _settle(self, app: str, country: str, member: str, cost: int | None) -> None:
        caps = self._policy.caps(app, country)
        if caps:
            await self._store.settle(caps, member, cost)


def _member(id_: str, number: int) -> str:
    return f"{id_}.{number}"
