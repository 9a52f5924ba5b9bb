"""SMS pumping: each message is counted before it is sent, and each proven code after its answer. The rule is
``domain/pumping.py``; here it meets the store, the metrics and the audit trail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from service.clock import Clock
from service.domain import audit
from service.domain.audit import Event
from service.domain.errors import SuspectedFraudError
from service.domain.pumping import (
    RULE,
    Exemption,
    Mode,
    PumpingPolicy,
    Suspicion,
    Tracked,
    judge,
    values_of,
)
from service.domain.recipient import Recipient
from service.domain.verification import Verification
from service.store.limits import LimitStore
from service.store.pumping import Digests, PumpingStore, Seen
from service.store.scripts import Call, Reply
from service.telemetry import Metrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that somebody asked for, as the tallies see it. ``at``: when it was counted."""

    app: str
    recipient_id: str
    masked: str
    country: str
    digests: Digests
    exemption: str | None
    at: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A message that may be sent. ``counted`` unless it is suspected, and sent only because nothing is
    blocked yet."""

    message: Message
    seen: Seen
    suspicion: Suspicion | None

    @property
    def exemption(self) -> str | None:
        return self.message.exemption or (Exemption.KNOWN if self.seen.known else None)

    @property
    def tracked(self) -> Tracked:
        return Tracked(self.message.digests, self.exemption, self.suspicion is not None)

    def to_finding(self) -> dict[str, object] | None:
        """What the event of a message that is sent all the same says of it."""
        if self.suspicion is None:
            return None
        finding = {"rule": RULE, **self.suspicion.to_members()}
        return finding | {"action": Mode.RECORD_ONLY, "would": Mode.BLOCK}


class Pumping:
    """Counts, judges and blocks."""

    def __init__(
        self,
        *,
        store: PumpingStore,
        limits: LimitStore,
        policy: PumpingPolicy,
        digest: Callable[[str, str], str],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._limits = limits
        self._policy = policy
        self._digest = digest
        self._clock = clock
        self._metrics = metrics

    def of_start(
        self, recipient: Recipient, recipient_id: str, *, app: str, client_ip: str | None
    ) -> Message | None:
        """What a start counts as; ``None`` where nothing is counted."""
        if self._policy.mode is Mode.OFF:
            return None
        values = values_of(recipient, app=app, client_ip=client_ip)
        return Message(
            app=app,
            recipient_id=recipient_id,
            masked=recipient.masked,
            country=recipient.country,
            digests={
                name: self._digest(f"pumping.{name}", value) for name, value in values.items()
            },
            exemption=self._policy.safe.exempts(recipient, app=app, client_ip=client_ip),
            at=self._clock.now(),
        )

    def calls(self, message: Message) -> list[Call]:
        """The counting, to be run with whatever else a start asks of the store."""
        return self._store.calls(message.digests, message.recipient_id, message.app, message.at)

    async def judge(
        self, message: Message, replies: Sequence[Reply], blocked: Callable[[], Event]
    ) -> Judged:
        """Judge a message that was counted. ``blocked`` makes the event of a refusal, without its reason.

        Raises:
            SuspectedFraudError: it is refused, and counts against nothing.
        """
        judged = self.look(message, replies)
        await self.act(judged)
        if judged.suspicion is not None and self._policy.mode is Mode.BLOCK:
            await self.record_refusal(judged, blocked())
            raise _suspected(judged.suspicion)
        return judged

    def look(self, message: Message, replies: Sequence[Reply]) -> Judged:
        """What is to be said of a message that was counted; nothing is done about it."""
        seen = self._store.read(message.digests, replies)
        judged = Judged(message, seen, None)
        if judged.exemption is not None:
            return judged
        suspicion = judge(seen.standings, self._policy, message.at)
        return judged if suspicion is None else replace(judged, suspicion=suspicion)

    async def act(self, judged: Judged) -> None:
        """A suspected message counts against nothing, and may block its key."""
        suspicion = judged.suspicion
        if suspicion is None:
            return
        self._metrics.suspected(suspicion.dimension, self._policy.mode)
        if suspicion.trips:
            await self._trip(judged, suspicion)
        await self.uncount(judged)

    def refusal(self, judged: Judged) -> dict[str, object] | None:
        """The fields of the event, where the message is refused."""
        if judged.suspicion is None or self._policy.mode is not Mode.BLOCK:
            return None
        tracked = Tracked(judged.message.digests).to_event()
        return {"rule": RULE, **judged.suspicion.to_members(), **tracked}

    async def give_back(self, judged: Judged) -> None:
        """The message is not sent after all, or not counted because it is suspected."""
        if judged.suspicion is None:
            await self.uncount(judged)

    async def uncount(self, judged: Judged) -> None:
        """Take back what the message counted."""
        message = judged.message
        await self._store.give_back(message.digests, judged.seen.epochs, message.at)

    async def resend(self, v: Verification, blocked: Callable[[], Event]) -> Judged | None:
        """Count and judge a further message of a verification, as ``judge``."""
        message = self._further(v)
        if message is None or (v.tracked is not None and v.tracked.suspected):
            return None
        return await self.judge(message, await self._store.run(self.calls(message)), blocked)

    async def look_again(self, v: Verification) -> Judged | None:
        """Count a further message of a verification, and ``look``."""
        message = self._further(v)
        if message is None:
            return None
        return self.look(message, await self._store.run(self.calls(message)))

    def _further(self, v: Verification) -> Message | None:
        if self._policy.mode is Mode.OFF or v.tracked is None:
            return None
        return Message(
            app=v.app,
            recipient_id=v.recipient_id,
            masked=v.masked,
            country=v.country,
            digests=v.tracked.keys,
            exemption=v.tracked.exempt,
            at=self._clock.now(),
        )

    async def record_refusal(self, judged: Judged, blocked: Event) -> None:
        """Write down that the message is refused, and why, in an event of its own."""
        event = blocked | (self.refusal(judged) or {})
        await self._limits.record_blocked(judged.message.recipient_id, event)

    async def prove(self, v: Verification) -> None:
        """The code of a verification was proven, and with it all messages that were asked for."""
        if v.tracked is None:
            return
        if v.tracked.suspected:
            # It would have been a false block: what `record_only` is for.
            self._metrics.suspected_proven()
            return
        await self._store.prove(v.tracked.keys, self._clock.now(), 1 + v.resends_asked)

    async def _trip(self, judged: Judged, suspicion: Suspicion) -> None:
        message, dimension = judged.message, suspicion.dimension
        about = {"app": message.app, "country": message.country, "masked": message.masked}
        digest = message.digests[dimension]
        event = audit.of_trip(
            f"{dimension}:{digest}", suspicion, about, message.at, action=self._policy.mode
        )
        tripped = await self._store.trip(
            dimension,
            digest,
            suspicion.block,
            epoch=judged.seen.epochs[dimension],
            now=message.at,
            about=about,
            event=event,
        )
        if tripped:
            log.error("alarm.suspected_fraud", action=self._policy.mode, **suspicion.to_members())


def _suspected(suspicion: Suspicion) -> SuspectedFraudError:
    return SuspectedFraudError(
        f"Too few of the codes sent under this {suspicion.dimension} were proven; nothing is sent there for "
        "now. An operator sees why with: countersign guard blocks",
        suspicion.to_members(),
    )
