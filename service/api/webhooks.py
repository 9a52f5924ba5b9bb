"""``/webhooks/telnyx``: the signature is checked over the raw body before anything is read.

Telnyx gives up after a few attempts, so an answer of 200 is given only once the event is recorded; what
the event leads to happens after it.
"""

from typing import Any

import structlog
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from service.api.body import read_raw
from service.api.parts import Parts
from service.api.problems import problem
from service.domain.verification import Report
from service.telnyx.webhook import InboundText, WebhookRefusedError, read_webhook

MAX_BODY = 64 * 1024
_PROBLEMS = ("unauthorized", "payload-too-large", "unavailable")
_ABOUT = "Called by Telnyx, whose signature (Ed25519) is checked instead of a key."

log = structlog.get_logger(__name__)


class Webhooks(Controller):
    """Delivery reports and inbound texts."""

    path = "/webhooks/telnyx"
    tags = ["webhooks"]
    request_max_body_size = MAX_BODY

    @post(
        "/{ref:str}",
        operation_id="receiveReport",
        summary="A delivery report, at the address of its own message",
        status_code=200,
        opt={"problems": _PROBLEMS, "about": _ABOUT},
    )
    async def receive(
        self, request: Request[Any, Any, Any], ref: FromPath[str], parts: NamedDependency[Parts]
    ) -> Response[bytes]:
        return await _receive(request, ref, parts)

    @post(
        operation_id="receiveEvent",
        summary="Events of the messaging profile: inbound texts",
        status_code=200,
        opt={"problems": _PROBLEMS, "about": _ABOUT},
    )
    async def receive_profile(
        self, request: Request[Any, Any, Any], parts: NamedDependency[Parts]
    ) -> Response[bytes]:
        return await _receive(request, "", parts)


async def _receive(request: Request[Any, Any, Any], ref: str, parts: Parts) -> Response[bytes]:
    body = await read_raw(request)
    try:
        event = read_webhook(body, request.headers, parts.public_keys, parts.clock.now())
    except WebhookRefusedError as error:
        parts.metrics.webhook_refused(error.reason)
        log.warning("webhook.refused", reason=error.reason)
        return problem("unauthorized", "The webhook's signature is missing, wrong or stale.")
    match event:
        case Report():
            word = await parts.facts.report(ref, event)
            parts.metrics.reported(event)
            if word in {"repeated", "unknown"}:
                parts.metrics.webhook_without_effect(word)
            log.info("webhook.report", status=event.status, recorded=word)
        case InboundText():
            wanted = await parts.facts.inbound(
                event.from_,
                event.text,
                profile=event.messaging_profile_id,
                answered=event.autoresponse_type,
            )
            parts.metrics.inbound(wanted)
            log.info("webhook.inbound", request=wanted)
        case _:
            parts.metrics.webhook_without_effect("ignored")
            log.info("webhook.ignored", event_type=event.event_type)
    return Response(b"{}", status_code=200, media_type="application/json")
