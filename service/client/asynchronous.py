"""The client for asyncio: FastAPI, Litestar, Starlette."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from service.client import calls
from service.client.answers import (
    ApiKeys,
    App,
    Apps,
    AuditEvent,
    AuditEvents,
    Checkpoints,
    DeliveryStatistics,
    NewApiKey,
    Notice,
    OptOut,
    OptOuts,
    ProblemType,
    SigningKeys,
    Verdict,
    Verification,
    VerificationStatistics,
)
from service.client.calls import (
    AppOptions,
    Call,
    EventFilter,
    NoticeOptions,
    StartOptions,
    Transaction,
    Window,
)
from service.client.connection import TIMEOUT, Connection, from_environment, unreachable
from service.client.retries import RETRIES, Outcome, Retries

T = TypeVar("T")


class AsyncCountersign:
    """A connection pool to the service, for one event loop. Each call does what Countersign's does."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = TIMEOUT,
        retries: Retries = RETRIES,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """``timeout``: seconds for each try. ``http``: one of your own (proxies ...), which you close.

        Raises:
            ValueError: the URL or the key has not the form of one.
        """
        self._connection = Connection(url, api_key, timeout, retries)
        self._http = http or httpx.AsyncClient()
        self._owns_http = http is None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """With ``COUNTERSIGN_URL`` and ``COUNTERSIGN_API_KEY``. Raises ValueError: one is missing."""
        return cls(*from_environment(environ), **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._owns_http:
            await self._http.aclose()

    async def start(self, to: str, **options: Unpack[StartOptions]) -> Verification:
        return await self._make(calls.start(to, options))

    async def verify(
        self, id: str, code: str, *, transaction: Transaction | None = None
    ) -> Verdict:
        return await self._make(calls.verify(id, code, transaction))

    async def resend(self, id: str) -> Verification:
        return await self._make(calls.resend(id))

    async def cancel(self, id: str) -> Verification:
        return await self._make(calls.cancel(id))

    async def get(self, id: str) -> Verification:
        return await self._make(calls.get(id))

    async def send_notice(self, to: str, event: str, **options: Unpack[NoticeOptions]) -> Notice:
        return await self._make(calls.send_notice(to, event, options))

    async def get_notice(self, id: str) -> Notice:
        return await self._make(calls.get_notice(id))

    async def cancel_notice(self, id: str) -> Notice:
        return await self._make(calls.cancel_notice(id))

    async def get_opt_out(self, number: str) -> OptOut:
        return await self._make(calls.get_opt_out(number))

    async def record_opt_out(self, number: str) -> OptOut:
        return await self._make(calls.record_opt_out(number))

    async def lift_opt_out(self, number: str) -> None:
        return await self._make(calls.lift_opt_out(number))

    def opt_outs(self) -> AsyncIterator[OptOut]:
        return self._items(calls.opt_outs_page)

    async def opt_outs_page(self, cursor: str | None = None) -> OptOuts:
        return await self._make(calls.opt_outs_page(cursor))

    def audit_events(self, **wanted: Unpack[EventFilter]) -> AsyncIterator[AuditEvent]:
        return self._items(lambda cursor: calls.audit_page(cursor, None, wanted))

    async def audit_page(
        self,
        cursor: str | None = None,
        limit: int | None = None,
        **wanted: Unpack[EventFilter],
    ) -> AuditEvents:
        return await self._make(calls.audit_page(cursor, limit, wanted))

    async def audit_stream(self, **wanted: Unpack[EventFilter]) -> AsyncIterator[AuditEvent]:
        call = calls.audit_stream(wanted)
        try:
            async with self._http.stream(**self._connection.request(call)) as answer:
                if not answer.is_success:
                    await answer.aread()
                call.result(answer)
                async for line in answer.aiter_lines():
                    yield calls.read_event(line)
        except httpx.RequestError as error:
            raise unreachable(error) from None

    async def audit_checkpoints(self) -> Checkpoints:
        return await self._make(calls.audit_checkpoints())

    async def delivery_statistics(
        self, *, group_by: Sequence[str] | None = None, **asked: Unpack[Window]
    ) -> DeliveryStatistics:
        return await self._make(calls.delivery_statistics(group_by, asked))

    async def verification_statistics(self, **asked: Unpack[Window]) -> VerificationStatistics:
        return await self._make(calls.verification_statistics(asked))

    async def apps(self) -> Apps:
        return await self._make(calls.apps())

    async def get_app(self, app: str) -> App:
        return await self._make(calls.get_app(app))

    async def put_app(
        self, app: str, *, if_match: str | None = None, **definition: Unpack[AppOptions]
    ) -> App:
        return await self._make(calls.put_app(app, if_match, definition))

    async def delete_app(self, app: str, *, if_match: str | None = None) -> None:
        return await self._make(calls.delete_app(app, if_match))

    async def api_keys(self, app: str) -> ApiKeys:
        return await self._make(calls.api_keys(app))

    async def create_api_key(
        self, app: str, scopes: Sequence[str], *, expires_in: int | None = None
    ) -> NewApiKey:
        return await self._make(calls.create_api_key(app, scopes, expires_in))

    async def revoke_api_key(self, app: str, id: str) -> None:
        return await self._make(calls.revoke_api_key(app, id))

    async def signing_keys(self) -> SigningKeys:
        return await self._make(calls.signing_keys())

    async def explain(self, slug: str) -> ProblemType:
        return await self._make(calls.explain(slug))

    async def check_alive(self) -> None:
        return await self._make(calls.check_alive())

    async def check_ready(self) -> None:
        return await self._make(calls.check_ready())

    async def _make(self, call: Call[T]) -> T:
        tried = 1
        outcome = await self._try(call)
        while (wait := self._connection.wait(call, outcome, tried)) is not None:
            await asyncio.sleep(wait)
            tried += 1
            outcome = await self._try(call)
        if isinstance(outcome, httpx.RequestError):
            raise unreachable(outcome) from None
        return call.result(outcome)

    async def _try(self, call: Call[Any]) -> Outcome:
        try:
            return await self._http.send(self._http.build_request(**self._connection.request(call)))
        except httpx.RequestError as error:
            return error

    async def _items(self, page: Callable[[str | None], Call[Any]]) -> AsyncIterator[Any]:
        cursor: str | None = None
        while True:
            found = await self._make(page(cursor))
            for item in found.items:
                yield item
            if (cursor := found.next_cursor) is None:
                return
