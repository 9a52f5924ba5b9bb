"""``/v1/notices``: security notices, sent now or at a time."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from pydantic import AwareDatetime, Field

from service.api.auth import caller
from service.api.body import Answer, Instant, RequestModel, answer, read_body
from service.api.parts import Parts
from service.api.verifications import (
    DeliveryAnswer,
    MessageBody,
    idempotency,
    to_delivery_answer,
)
from service.domain.instant import rfc3339
from service.domain.notice import NoticeStatus, notice_status
from service.domain.verification import Verification
from service.flow.notices import NoticeRequest
from service.store.api_keys import Scope


class NoticeBody(MessageBody):
    """Tell a person of a change to their account."""

    event: Annotated[
        str,
        Field(
            description="What happened; it names a text of the configuration.",
            examples=["number_changed"],
            max_length=64,
        ),
    ]
    send_at: Annotated[
        AwareDatetime | None,
        Field(description="When to send it, at most 5 days ahead; at once if left out."),
    ] = None


class NoticeAnswer(RequestModel):
    """A notice; ``to`` is masked, ``send_at`` is null for one that was sent at once."""

    id: str
    status: NoticeStatus
    event: str
    to: str
    country: str
    created_at: Instant
    send_at: Instant | None
    deliveries: list[DeliveryAnswer]
    metadata: dict[str, str]


class Notices(Controller):
    """NIST SP 800-63B-4 asks for a notice when an authenticator is bound, changed or removed."""

    path = "/v1/notices"
    tags = ["notices"]
    opt = {"scope": Scope.VERIFICATIONS}

    @post(
        operation_id="sendNotice",
        summary="Send a security notice, now or at a time",
        opt={
            "body": NoticeBody,
            "answer": NoticeAnswer,
            "idempotent": True,
            "problems": (
                "recipient-opted-out", "country-not-allowed", "number-type-not-allowed",
                "idempotency-in-progress", "idempotency-mismatch", "rate-limited",
            ),
        },
    )  # fmt: skip
    async def send(self, request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Answer:
        body = await read_body(request, NoticeBody)
        key = caller(request)
        wanted = NoticeRequest(
            app=key.app,
            actor=key.id,
            recipient=body.to,
            event=body.event,
            send_at=_milliseconds(body.send_at),
            senders=tuple(body.senders) if body.senders is not None else None,
            client_ip=body.client_ip,
            metadata=body.metadata,
        )
        sent = await parts.notices.send(wanted, idempotency(request, body))
        headers = {"location": f"/v1/notices/{sent.verification.id}"}
        if sent.replayed:
            headers["idempotent-replayed"] = "true"
        return _answer(sent.verification, parts.clock.now(), 201, headers)

    @get(
        "/{notice_id:str}",
        operation_id="getNotice",
        summary="Read a notice",
        opt={"answer": NoticeAnswer, "problems": ("not-found",)},
    )
    async def read(
        self,
        request: Request[Any, Any, Any],
        notice_id: FromPath[str],
        parts: NamedDependency[Parts],
    ) -> Answer:
        v = await parts.notices.get(notice_id, caller(request).app)
        return _answer(v, parts.clock.now())

    @post(
        "/{notice_id:str}/cancel",
        operation_id="cancelNotice",
        summary="Take back a notice that has not left",
        status_code=200,
        opt={"answer": NoticeAnswer, "problems": ("not-found", "notice-closed")},
    )
    async def cancel(
        self,
        request: Request[Any, Any, Any],
        notice_id: FromPath[str],
        parts: NamedDependency[Parts],
    ) -> Answer:
        key = caller(request)
        v = await parts.notices.cancel(notice_id, key.app, key.id)
        return _answer(v, parts.clock.now())


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp() * 1000)


def _answer(
    v: Verification, now: int, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    model = NoticeAnswer(
        id=v.id,
        status=notice_status(v, now),
        event=v.purpose,
        to=v.masked,
        country=v.country,
        created_at=rfc3339(v.created_at),
        send_at=rfc3339(v.send_at) if v.send_at else None,
        deliveries=[to_delivery_answer(d) for d in v.deliveries],
        metadata=dict(v.metadata),
    )
    return answer(model, status, headers)
