"""A configuration to be simulated, with changes."""

from dataclasses import replace
from typing import Any

from service.domain.decide import Policy
from service.domain.ordering import OrderingPolicy
from service.domain.plan import Route
from service.domain.quarantine import QuarantinePolicy
from service.simulation.engine import Configuration
from tests.domain.strategies import SENDERS


def configuration(**changes: Any) -> Configuration:
    found = Configuration(
        senders={sender.name: sender for sender in SENDERS},
        routes=[Route(frozenset({"*"}), ("short", "long", "chat"))],
        policy=Policy(),
        ordering=OrderingPolicy(),
        quarantine=QuarantinePolicy(),
        ttl=300_000,
        attempts=5,
        resend_after=30_000,
    )
    return replace(found, **changes)
