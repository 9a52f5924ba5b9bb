"""What the controllers work with: the flow, and the few reads that go past it."""

from collections.abc import Sequence
from dataclasses import dataclass

from nacl.signing import VerifyKey

from service.api.key_limits import KeyLimits
from service.clock import Clock
from service.domain.callback import CallbackRules
from service.domain.code import Alphabet
from service.domain.keyring import Keyring
from service.flow.api_keys import ApiKeys
from service.flow.apps import Apps
from service.flow.facts import Facts
from service.flow.notices import Notices
from service.flow.start import Start
from service.flow.verify import Verify
from service.store.api_keys import ApiKeyStore
from service.store.breakers import BreakerStore
from service.store.chain import ChainStore
from service.store.connection import Connection
from service.store.people import PeopleStore
from service.store.pumping import PumpingStore
from service.store.quarantines import QuarantineStore
from service.store.recipients import RecipientStore
from service.store.sessions import SessionStore
from service.store.stats import StatsStore
from service.store.trail import TrailStore
from service.telemetry import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Handed to each controller. ``alphabet`` is that of every new code."""

    start: Start
    verify: Verify
    facts: Facts
    notices: Notices
    apps: Apps
    recipients: RecipientStore
    stats: StatsStore
    trail: TrailStore
    people: PeopleStore
    chain: ChainStore
    api_keys: ApiKeyStore
    keys: ApiKeys
    key_limits: KeyLimits
    connection: Connection
    public_keys: Sequence[VerifyKey]
    keyring: Keyring
    alphabet: Alphabet
    callbacks: CallbackRules
    uniform_answers: bool
    sessions: SessionStore
    pumping: PumpingStore
    breakers: BreakerStore
    quarantines: QuarantineStore
    is_https: bool
    clock: Clock
    metrics: Metrics
