"""Breakers: opened where Telnyx closes a route, and closed again by a message that passes. The look at each
message is where it is begun."""

import structlog

from service.clock import Clock
from service.domain import audit
from service.domain.breaker import BreakerPolicy, Routes, passed, routes_of, what_closed
from service.domain.keyring import Keyring
from service.domain.plan import Sender
from service.domain.recipient import prefix_of
from service.domain.verification import Verification
from service.store.breakers import BreakerStore
from service.store.verifications import Tripped
from service.telemetry import Metrics

log = structlog.get_logger(__name__)


class Breakers:
    """One for each route of the account."""

    def __init__(
        self,
        *,
        store: BreakerStore,
        policy: BreakerPolicy,
        keyring: Keyring,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._policy = policy
        self._keyring = keyring
        self._clock = clock
        self._metrics = metrics

    def routes(self, e164: str, sender: Sender | None) -> Routes:
        """What a message to the number through the sender goes by."""
        return routes_of(self._keyring.digest("breaker.range", prefix_of(e164)), sender)

    async def may_try(self, tripped: Tripped) -> bool:
        """Whether a message may go by an open breaker, to see whether the route is open again."""
        now = self._clock.now()
        tried = tripped.until <= now and await self._store.may_try(
            tripped.route, now, self._policy.probe_every
        )
        self._metrics.breaker("tried" if tried else "held")
        return tried

    async def close_passed(self, v: Verification, *, proven: int | None = None) -> None:
        """Close the breakers that a probe of this verification passed; ``proven``: the delivery whose code
        was typed in."""
        for route, since in passed(v, proven).items():
            event = audit.of_breaker_release(route, self._clock.now(), actor="countersign")
            if await self._store.close(route, since, event):
                self._metrics.breaker("closed")
                log.warning("breaker.closed", route=route)

    async def blocked(self, v: Verification) -> None:
        """A verification ended because Telnyx closed its route, or because a breaker was open."""
        for delivery in v.deliveries:
            code = what_closed(delivery)
            if code is None:
                continue
            now, e164 = self._clock.now(), self._keyring.unseal(v.key_id, v.sealed)
            sender = next((s for s in v.plan if s.name == delivery.sender), None)
            route = self.routes(e164, sender).closed_by(code)
            about = {"app": v.app, "country": v.country, "masked": v.masked, "code": code}
            event = audit.of_breaker_trip(route, about, now)
            if await self._store.trip(route, self._policy, about=about, now=now, event=event):
                self._metrics.breaker("opened")
            # Suspected traffic inflation, or the spend cap: somebody has to look at the account.
            log.error("alarm.provider_blocked", verification=v.id, country=v.country, code=code)
