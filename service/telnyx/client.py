"""The Telnyx Messaging client: one POST per delivery, and GET to reconcile.

Expected outcomes are values. A send is never repeated in here: Telnyx declares no idempotency key for
messages, so after a lost answer the message may or may not exist (``Uncertain``), and only a
connection that was never made, or a 429, is surely not a message (``NotSent``).
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum

import httpx
import msgspec
import structlog

from service.domain.plan import Sender, SenderKind, Template
from service.domain.segments import septets
from service.domain.verification import Accepted, NotSent, Outcome, Refused, Report, Uncertain
from service.telnyx.connection import Answer
from service.telnyx.errors import fault_of, read_errors, to_domain
from service.telnyx.http import (
    NEVER_CONNECTED,
    TelnyxConfig,
    open_http,
    open_transport,
    read_json,
    retry_after,
)
from service.telnyx.message import read_message, to_report
from service.telnyx.transport import framed, head_of, to_response

SEND_TIMEOUT = 8.0
"""The longest that a send may take as a whole (seconds): httpx limits each phase only, and an answer
that trickles in would outlive the verification's lease."""

_PATHS = {
    SenderKind.LONG_CODE: "/messages/long_code",
    SenderKind.SHORT_CODE: "/messages/short_code",
    SenderKind.NUMBER_POOL: "/messages/number_pool",
    SenderKind.ALPHANUMERIC: "/messages/alphanumeric_sender_id",
    SenderKind.WHATSAPP: "/messages/whatsapp",
}
_SCHEDULE_PATH = "/messages/schedule"
_GENERIC_PATH = "/messages"
_OWN_PROFILE = frozenset({SenderKind.NUMBER_POOL, SenderKind.ALPHANUMERIC, SenderKind.WHATSAPP})
_DEFAULT_RETRY = 1_000

log = structlog.get_logger(__name__)


class Cancellation(Enum):
    """What became of the wish to cancel a scheduled message."""

    CANCELED = "canceled"
    TOO_LATE = "too late"
    UNKNOWN = "unknown"


class TelnyxClient:
    """Sends messages and reads them back, over one keep-alive pool (HTTP/1.1)."""

    def __init__(self, config: TelnyxConfig) -> None:
        self._transport = open_transport(config)
        self._http = open_http(config, self._transport)
        self._base_url = config.base_url.rstrip("/")
        self._headers = {**config.headers, "content-type": "application/json"}
        self._timeouts = config.timeout.as_dict()
        self._heads: dict[str, tuple[httpx.URL, bytes]] = {}
        self.sending = 0
        """How many messages are on their way."""

    async def close(self) -> None:
        await self._http.aclose()

    async def send(
        self,
        sender: Sender,
        *,
        to: str,
        text: str,
        webhook_url: str,
        now: Callable[[], int],
        send_at: int | None = None,
    ) -> Outcome:
        """POST one message; ``now`` (milliseconds) stamps the outcome. Never raises for what Telnyx
        or the network does, and ends within ``SEND_TIMEOUT``.

        ``text`` is the SMS, or what fills in the template of a WhatsApp sender: the code. With
        ``send_at`` (milliseconds, 5 minutes to 5 days ahead) Telnyx holds an SMS until then.
        """
        path, body = _request(sender, to, text, webhook_url)
        if send_at is not None:
            path, body = _SCHEDULE_PATH, _scheduled(body, send_at)
        self.sending += 1
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                answer = await self._post(path, body)
        except NEVER_CONNECTED:
            return NotSent(now(), _DEFAULT_RETRY)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, ValueError):
            return Uncertain(now())
        finally:
            self.sending -= 1
        return _read_answer(answer, now())

    async def _post(self, path: str, body: dict[str, object]) -> Answer:
        """As the client would, without what Telnyx does not need: cookies, redirects, merged addresses, and
        requests and responses that are made anew each time. They are half of what a POST costs."""
        if path not in self._heads:
            url = httpx.URL(self._base_url + path)
            self._heads[path] = url, head_of(httpx.Request("POST", url, headers=self._headers))
        url, head = self._heads[path]
        whole = framed(head, msgspec.json.encode(body))
        return await self._transport.ask(url, whole, self._timeouts)

    async def cancel(self, message_id: str) -> Cancellation:
        """DELETE a scheduled message; Telnyx allows it until a minute before it is to leave. What is
        canceled already counts as canceled, so that asking again is safe."""
        path = f"{_GENERIC_PATH}/{message_id}"
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                response = await self._http.delete(path)
                if response.is_client_error:
                    response = await self._http.get(path)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, ValueError):
            return Cancellation.UNKNOWN
        if response.is_server_error:
            return Cancellation.UNKNOWN
        body = read_json(response)
        # The answer to DELETE is the bare message; that to GET is wrapped in `data`.
        message = read_message(body.get("data", body)) if isinstance(body, dict) else None
        canceled = message is not None and message.is_canceled
        return Cancellation.CANCELED if canceled else Cancellation.TOO_LATE

    async def retrieve(self, message_id: str, *, now: int) -> Report | None:
        """GET a message (kept by Telnyx for 10 days) as a report; ``None`` if nothing was learnt."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                response = await self._http.get(f"{_GENERIC_PATH}/{message_id}")
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, ValueError):
            return None
        message = read_message(_data(read_json(response))) if response.is_success else None
        if message is None or message.id != message_id:
            return None
        return to_report(message, event_id=f"get:{now}", at=now)


def _request(sender: Sender, to: str, text: str, webhook_url: str) -> tuple[str, dict[str, object]]:
    """Path and body for a kind of sender; each endpoint takes its own fields."""
    if sender.template is not None:
        return _PATHS[SenderKind.WHATSAPP], _whatsapp(
            sender, sender.template, to, text, webhook_url
        )
    body: dict[str, object] = {"to": to, "text": text}
    # The failover is the same address: it doubles Telnyx's attempts, and the profile's own URL,
    # which knows no ref, is not needed.
    body |= {"webhook_url": webhook_url, "webhook_failover_url": webhook_url}
    if sender.from_ is not None and sender.kind is not SenderKind.NUMBER_POOL:
        body["from"] = sender.from_
    if sender.messaging_profile_id is not None:
        body["messaging_profile_id"] = sender.messaging_profile_id
    if sender.kind is not SenderKind.ALPHANUMERIC:
        # Told, not left to be found out: then no character is replaced, and nothing else is billed.
        body |= {"type": "SMS", "encoding": "ucs2" if septets(text) is None else "gsm7"}
    return _path(sender), body


def _whatsapp(
    sender: Sender, template: Template, to: str, code: str, webhook_url: str
) -> dict[str, object]:
    """An authentication template: its body shows the code, its one button copies or fills it in.
    Meta takes the code in both places, and the button as sub type ``url`` ("Authentication templates")."""
    filled = [{"type": "text", "text": code}]
    content: dict[str, object] = {
        "components": [
            {"type": "body", "parameters": filled},
            {"type": "button", "sub_type": "url", "index": 0, "parameters": filled},
        ]
    }
    if template.id is not None:
        content["template_id"] = template.id
    else:
        content |= {"name": template.name, "language": {"code": template.language}}
    body: dict[str, object] = {
        "from": sender.from_,
        "to": to,
        "type": "WHATSAPP",
        "whatsapp_message": {"type": "template", "template": content},
        "webhook_url": webhook_url,
    }
    if sender.messaging_profile_id is not None:
        body["messaging_profile_id"] = sender.messaging_profile_id
    return body


def _scheduled(body: dict[str, object], send_at: int) -> dict[str, object]:
    """The same message, held by Telnyx; that endpoint knows no ``encoding``."""
    at = datetime.fromtimestamp(send_at / 1000, UTC).isoformat(timespec="seconds")
    kept = {name: value for name, value in body.items() if name != "encoding"}
    return {**kept, "send_at": at.replace("+00:00", "Z")}


def _path(sender: Sender) -> str:
    """The endpoint of the kind. Those of long and short codes take no messaging profile, so a number
    that is to be sent from under a certain profile goes through the generic one."""
    if sender.messaging_profile_id is not None and sender.kind not in _OWN_PROFILE:
        return _GENERIC_PATH
    return _PATHS.get(sender.kind, _GENERIC_PATH)


def _read_answer(answer: Answer, now: int) -> Outcome:
    status = answer.status
    if httpx.codes.is_success(status):
        message = read_message(_data(_read(answer.body)))
        if message is None:
            return Uncertain(now)
        return Accepted(now, message.id, message.wait_seconds or 0.0)
    response = to_response(answer)
    errors = read_errors(read_json(response))
    if errors:
        log.warning("telnyx.refused", status=status, codes=[error.code for error in errors])
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return NotSent(now, retry_after(response, now), to_domain(errors))
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        return Uncertain(now, to_domain(errors))
    return Refused(now, fault_of(errors, synchronous=True), to_domain(errors))


def _read(body: bytearray) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _data(body: object) -> object:
    return body.get("data") if isinstance(body, dict) else None
