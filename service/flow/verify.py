"""Verify: count the attempt, hash, compare and approve once."""

import secrets
from dataclasses import dataclass

import structlog

from service.clock import Clock
from service.domain import audit
from service.domain.audit import EventType
from service.domain.code import Alphabet, Code, alphabets_of
from service.domain.decide import ATTEMPT_GRACE
from service.domain.errors import (
    InvalidRequestError,
    RateLimitedError,
    TransactionMismatchError,
    UnavailableError,
    VerificationClosedError,
    unknown_verification,
)
from service.domain.guard import Exceeded
from service.domain.keyring import Keyring, KeyringError
from service.domain.proof import sign_proof
from service.domain.transaction import Transaction
from service.domain.verification import Reason, Status, Verification
from service.flow.breakers import Breakers
from service.flow.hashing import HashPool
from service.flow.pumping import Pumping
from service.flow.tasks import Tasks
from service.store.keys import VERIFICATION, is_id
from service.store.verifications import Attempt, VerificationStore
from service.telemetry import Metrics
from service.tracing import Name, span

_FORMS = {
    Alphabet.DIGITS: "must be digits: the codes of this verification have no letters",
    Alphabet.LETTERS: "must be letters as they stand in the message; no code has vowels or digits",
    Alphabet.MIXED: "must be letters and digits as they stand in the message; no code has vowels",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a typed code; ``delivery`` is the number of the one that carried it, ``proof`` the
    signed proof where the start gave a nonce, ``test`` whether it is of a test number."""

    approved: bool
    status: Status
    attempts_remaining: int
    delivery: int | None = None
    proof: str | None = None
    test: bool = False


class Verify:
    """Answers whether a typed code is right."""

    def __init__(
        self,
        *,
        store: VerificationStore,
        hashing: HashPool,
        keyring: Keyring,
        pumping: Pumping,
        breakers: Breakers,
        tasks: Tasks,
        issuer: str,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """``issuer``: who proofs say they are from, the service's public URL."""
        self._issuer = issuer
        self._store = store
        self._hashing = hashing
        self._keyring = keyring
        self._pumping = pumping
        self._breakers = breakers
        self._tasks = tasks
        self._clock = clock
        self._metrics = metrics

    async def __call__(
        self,
        id_: str,
        app: str,
        code: Code,
        actor: str,
        *,
        transaction: Transaction | None = None,
    ) -> Verdict:
        """Check a code; ``transaction``: what it is to approve.

        Raises:
            NotFoundError: no such verification of this app.
            VerificationClosedError: it has ended, or its attempts are used up.
            InvalidRequestError: no code of this verification looks like that; it was not counted.
            TransactionMismatchError: it was started for another transaction, or for none; not counted.
            RateLimitedError: the recipient's guess budget is used up; nothing was compared.
            UnavailableError: the hash pool is full, and the attempt was not counted; or this process
                lacks the key of the verification.
        """
        if not is_id(id_, VERIFICATION):
            raise unknown_verification()
        with span(Name.VERIFY, id_) as note:
            verdict = await self._check(id_, app, code, actor, transaction)
            if note is not None:
                note("verdict", {"approved": verdict.approved, "status": verdict.status})
        return verdict

    async def _check(
        self, id_: str, app: str, code: Code, actor: str, transaction: Transaction | None
    ) -> Verdict:
        with self._hashing.slot():
            attempt = await self._count(id_, app, code, actor, transaction)
            v = attempt.verification
            digest = await self._hashing.digest(
                code,
                verification=id_,
                pepper=self._pepper(v.key_id),
                salt=attempt.salt,
                bound=v.bound,
            )
        verdict = await self._settle(v, digest, actor)
        self._metrics.attempt(v, verdict.approved, self._clock.now())
        if verdict.approved:
            self._tasks.spawn(self._pumping.prove(v))  # The answer does not wait for it.
            self._tasks.spawn(self._breakers.close_passed(v, proven=verdict.delivery))
        return verdict

    async def _count(
        self, id_: str, app: str, code: Code, actor: str, transaction: Transaction | None
    ) -> Attempt:
        now = self._clock.now()
        event = audit.of_attempt(EventType.ATTEMPT_COUNTED, id_, app, now, actor)
        counted = await self._store.count_attempt(
            id_,
            app,
            now,
            now + ATTEMPT_GRACE,
            alphabets=alphabets_of(code),
            bound=transaction.fingerprint if transaction else None,
            event=event,
        )
        if isinstance(counted, Attempt):
            return counted
        if isinstance(counted, Exceeded):
            self._metrics.limited(counted.limit)
            raise RateLimitedError.of(counted)
        match counted[0]:
            case "unknown":
                raise unknown_verification()
            case "closed":
                raise VerificationClosedError(counted[1])
            case "unreadable":
                raise InvalidRequestError.at("/code", _FORMS[Alphabet(counted[1])])
            case "mismatch":
                raise TransactionMismatchError(
                    "verify has to repeat the transaction that the verification was started with, and no "
                    "other. The code was not checked; for another transaction start a new verification."
                )
            case _:
                raise VerificationClosedError(Status.LOCKED)

    async def _settle(self, v: Verification, digest: bytes, actor: str) -> Verdict:
        now = self._clock.now()
        event = audit.of_verification(
            EventType.VERIFICATION_APPROVED, v, now, actor=actor, reason=Reason.APPROVED
        )
        reply = await self._store.settle_attempt(v, now, digest, event)
        match reply[0]:
            case "approved":
                proof = self._proof(v, now)
                # No delivery carried the code of a test number.
                return Verdict(
                    True, Status.APPROVED, int(reply[2]), int(reply[1]) or None, proof, v.test
                )
            case "rejected":
                return Verdict(False, v.status, int(reply[1]), test=v.test)
            case "locked":
                return Verdict(False, Status.LOCKED, 0, test=v.test)
            case _:
                raise VerificationClosedError(reply[1])

    def _proof(self, v: Verification, at: int) -> str | None:
        if v.nonce is None:
            return None
        id_ = f"prf_{secrets.token_hex(16)}"
        return sign_proof(v, v.nonce, self._keyring, issuer=self._issuer, id_=id_, at=at)

    def _pepper(self, key_id: str) -> bytes:
        try:
            return self._keyring.pepper(key_id)
        except KeyringError:
            log.warning("keyring.lacks", key=key_id, fix="put it back behind the newer keys")
            raise UnavailableError(
                "This instance lacks the key that the verification was made under.", 1
            ) from None
