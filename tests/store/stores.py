"""Store values for tests: a verification, a delivery, and the events that go with them."""

from collections.abc import Sequence
from typing import Any

from service.domain.audit import EventType, of_delivery, of_outcome, of_report, of_verification
from service.domain.code import Alphabet
from service.domain.guard import Limit
from service.domain.plan import Sender, SenderKind
from service.domain.verification import (
    Accepted,
    Delivery,
    DeliveryStatus,
    Reason,
    Report,
    Status,
    Verification,
)
from service.store.connection import Connection
from service.store.keys import new_id
from service.store.recipients import RecipientStore
from service.store.reservations import ReservationStore
from service.store.scripts import Scripts
from service.store.verifications import Begin, Claim, Exists, OptedOut, Tripped, VerificationStore

NOW = 1_800_000_000_000
LEASE = 12_000
RECIPIENT = "00112233445566778899aabbccddeeff"
SENDER = Sender(name="long", kind=SenderKind.LONG_CODE, from_="+18445550001")
SALT = b"s" * 16
DIGEST = b"d" * 32
WRONG = b"w" * 32
PLAIN: dict[str, Any] = {"alphabets": [Alphabet.DIGITS], "bound": None}
"""A code of digits, for no transaction, as ``count_attempt`` takes it."""


class Stores:
    """Every store over one connection, and the steps that tests take."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.scripts = Scripts(connection)
        self.verifications = VerificationStore(
            connection, self.scripts, {"long": SENDER}, lease=LEASE, retention=60_000
        )
        self.recipients = RecipientStore(connection, self.scripts)
        self.reservations = ReservationStore(connection, self.scripts, running=15_000)

    async def create(self, v: Verification, *windows: Limit) -> Claim | Exists | OptedOut | object:
        event = of_verification(EventType.VERIFICATION_CREATED, v, v.created_at, actor="key")
        return await self.verifications.create(v, SALT, windows, event=event)

    async def created(self, **changes: object) -> Claim:
        claim = await self.create(verification(**changes))
        assert isinstance(claim, Claim)
        return claim

    async def begin(
        self, claim: Claim, digest: bytes = DIGEST, routes: Sequence[str] = ()
    ) -> str | Tripped:
        delivery = make_delivery(len(claim.verification.deliveries) + 1)
        event = of_delivery(EventType.DELIVERY_BEGUN, claim.verification, delivery, NOW)
        begin = Begin(delivery, event, NOW + 30_000, digest, routes)
        return await self.verifications.begin_delivery(claim, begin)

    async def sent(self, **changes: object) -> Claim:
        """A verification with one delivery accepted, waiting for its report."""
        claim = await self.created(**changes)
        assert await self.begin(claim) == "ok"
        v = await self.read(claim.verification.id)
        outcome = Accepted(NOW, "m")
        event = of_outcome(v, v.deliveries[0], outcome)
        word = await self.verifications.record_outcome(claim.on(v), 1, outcome, NOW + 1_000, event)
        assert word == "ok"
        return claim

    async def read(self, id_: str) -> Verification:
        v = await self.verifications.get(id_)
        assert v is not None
        return v

    async def report(self, id_: str, event_id: str = "e", number: int = 1) -> str:
        found = Report(event_id=event_id, status=DeliveryStatus.DELIVERED, at=NOW, message_id="m")
        event = of_report(id_, number, found, NOW, "telnyx")
        return await self.verifications.record_report(id_, number, found, NOW, event)

    async def close(self, claim: Claim) -> str:
        v = claim.verification
        event = of_verification(EventType.VERIFICATION_EXPIRED, v, NOW, actor="countersign")
        return await self.verifications.close(claim, Status.EXPIRED, Reason.EXPIRED, NOW, event)


def verification(**changes: object) -> Verification:
    values: dict[str, object] = {
        "id": new_id(RECIPIENT),
        "app": "default",
        "purpose": "login",
        "country": "US",
        "masked": "+1********00",
        "recipient_id": RECIPIENT,
        "sealed": "sealed",
        "key_id": "k",
        "plan": (SENDER,),
        "created_at": NOW,
        "expires_at": NOW + 300_000,
        "attempts_allowed": 5,
        "code_length": 6,
        "resend_after": NOW + 30_000,
    }
    return Verification(**(values | changes))  # type: ignore[arg-type]


def make_delivery(number: int) -> Delivery:
    return Delivery(
        number=number, sender="long", kind=SenderKind.LONG_CODE, reason=Reason.INITIAL, begun_at=NOW
    )
