"""Security notices: sent now or at a time, and canceled before it. They go the way of a start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.clock import Clock
from service.domain import audit
from service.domain.audit import EventType
from service.domain.errors import (
    InvalidRequestError,
    NotFoundError,
    NoticeClosedError,
    UnavailableError,
)
from service.domain.notice import (
    LONGEST_AHEAD,
    NOTICE_LIFE,
    NoticeTextError,
    compose_notice,
    notice_status,
)
from service.domain.recipient import Recipient
from service.domain.verification import Notice, Reason, Verification
from service.flow.idempotency import Idempotency
from service.flow.start import Start, Started, StartRequest
from service.store.apps import AppStore
from service.store.keys import NOTICE, is_id
from service.store.verifications import VerificationStore
from service.telnyx.client import Cancellation, TelnyxClient


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRequest:
    """What a caller asks for. ``event`` names a configured text; ``send_at`` is in milliseconds."""

    app: str
    actor: str
    recipient: Recipient
    event: str
    send_at: int | None = None
    senders: tuple[str, ...] | None = None
    client_ip: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Notices:
    """Sends notices through ``Start``: the same plan, guard, opt-outs, reports and audit trail."""

    def __init__(
        self,
        *,
        start: Start,
        store: VerificationStore,
        apps: AppStore,
        telnyx: TelnyxClient,
        texts: Mapping[str, str],
        app_name: str,
        clock: Clock,
    ) -> None:
        """``texts``: by event, with ``{app}`` for the app's name, or ``app_name`` where it has none."""
        self._start = start
        self._store = store
        self._apps = apps
        self._telnyx = telnyx
        self._texts = texts
        self._app_name = app_name
        self._clock = clock

    async def send(self, request: NoticeRequest, idempotency: Idempotency | None) -> Started:
        """Send a notice, or have it sent at its time.

        Raises:
            CountersignError: whatever refuses it; nothing was created then.
        """
        return await self._start(
            StartRequest(
                app=request.app,
                actor=request.actor,
                recipient=request.recipient,
                purpose=request.event,
                ttl=NOTICE_LIFE,
                senders=request.senders,
                client_ip=request.client_ip,
                notice=await self._notice(request),
                metadata=request.metadata,
            ),
            idempotency,
        )

    async def get(self, id_: str, app: str) -> Verification:
        """Raises NotFoundError if there is none, or it is another app's."""
        v = await self._store.get(id_) if is_id(id_, NOTICE) else None
        if v is None or v.app != app:
            raise NotFoundError("There is no such notice.")
        return v

    async def cancel(self, id_: str, app: str, actor: str) -> Verification:
        """Take back a notice that has not left.

        Raises:
            NotFoundError: as its name says.
            NoticeClosedError: it has left, or leaves within a minute, or was canceled before.
            UnavailableError: Telnyx holds it and did not answer.
        """
        v = await self.get(id_, app)
        now = self._clock.now()
        if now >= v.send_at:
            raise NoticeClosedError(notice_status(v, now))
        held = v.scheduled
        if held is not None and held.message_id is not None:
            match await self._telnyx.cancel(held.message_id):
                case Cancellation.UNKNOWN:
                    raise UnavailableError("Telnyx holds the notice and does not answer.", 2)
                case Cancellation.TOO_LATE:
                    raise NoticeClosedError(notice_status(v, now))
        event = audit.of_verification(
            EventType.VERIFICATION_CANCELED, v, now, actor=actor, reason=Reason.CANCELED
        )
        reply = await self._store.cancel(v, app, now, event)
        if reply[0] == "closed":
            raise NoticeClosedError(reply[1])
        return await self.get(id_, app)

    async def _notice(self, request: NoticeRequest) -> Notice:
        template = self._texts.get(request.event)
        if template is None:
            known = ", ".join(sorted(self._texts))
            raise InvalidRequestError.at("/event", f"must be one of {known}")
        app = await self._apps.get(request.app)
        try:
            text = compose_notice(template, app.name or self._app_name)
        except NoticeTextError as error:  # The configuration changed under the app.
            raise InvalidRequestError.at("/event", f"names a text that {error}") from None
        if request.send_at is None:
            return Notice(text)
        now = self._clock.now()
        if not now < request.send_at <= now + LONGEST_AHEAD:
            raise InvalidRequestError.at("/send_at", "must be in the future, at most 5 days ahead")
        return Notice(text, request.send_at)
