"""The client for code that waits: Django, Flask, scripts."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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


class Countersign:
    """A connection pool to the service; threads may share it. Every call raises CountersignError.

    httpx logs each request's address at level INFO: that of an opt-out, or of an audit trail by recipient,
    has the number in it.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = TIMEOUT,
        retries: Retries = RETRIES,
        http: httpx.Client | None = None,
    ) -> None:
        """``timeout``: seconds for each try. ``http``: one of your own (proxies ...), which you close.

        Raises:
            ValueError: the URL or the key has not the form of one.
        """
        self._connection = Connection(url, api_key, timeout, retries)
        self._http = http or httpx.Client()
        self._owns_http = http is None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """With ``COUNTERSIGN_URL`` and ``COUNTERSIGN_API_KEY``. Raises ValueError: one is missing."""
        return cls(*from_environment(environ), **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._owns_http:
            self._http.close()

    def start(self, to: str, **options: Unpack[StartOptions]) -> Verification:
        """Send a code. A repetition of this call by the client itself never sends a second one."""
        return self._make(calls.start(to, options))

    def verify(self, id: str, code: str, *, transaction: Transaction | None = None) -> Verdict:
        """Check what the person typed. A wrong code is an answer, not an error. ``transaction``: that of the
        start, if it had one."""
        return self._make(calls.verify(id, code, transaction))

    def resend(self, id: str) -> Verification:
        """A further message with a new code; the earlier codes stay right."""
        return self._make(calls.resend(id))

    def cancel(self, id: str) -> Verification:
        """End a verification; its codes die."""
        return self._make(calls.cancel(id))

    def get(self, id: str) -> Verification:
        """A verification with all its deliveries."""
        return self._make(calls.get(id))

    def send_notice(self, to: str, event: str, **options: Unpack[NoticeOptions]) -> Notice:
        """Tell a person of a change to their account."""
        return self._make(calls.send_notice(to, event, options))

    def get_notice(self, id: str) -> Notice:
        return self._make(calls.get_notice(id))

    def cancel_notice(self, id: str) -> Notice:
        """Take back a notice that has not left."""
        return self._make(calls.cancel_notice(id))

    def get_opt_out(self, number: str) -> OptOut:
        """Raises NotFoundError: the number may get messages."""
        return self._make(calls.get_opt_out(number))

    def record_opt_out(self, number: str) -> OptOut:
        """No message goes to the number any more; what is pending stops."""
        return self._make(calls.record_opt_out(number))

    def lift_opt_out(self, number: str) -> None:
        return self._make(calls.lift_opt_out(number))

    def opt_outs(self) -> Iterator[OptOut]:
        """All of them, page by page."""
        return self._items(calls.opt_outs_page)

    def opt_outs_page(self, cursor: str | None = None) -> OptOuts:
        return self._make(calls.opt_outs_page(cursor))

    def audit_events(self, **wanted: Unpack[EventFilter]) -> Iterator[AuditEvent]:
        """All of them, oldest first, page by page: each may take its time, and is asked for again."""
        return self._items(lambda cursor: calls.audit_page(cursor, None, wanted))

    def audit_page(
        self,
        cursor: str | None = None,
        limit: int | None = None,
        **wanted: Unpack[EventFilter],
    ) -> AuditEvents:
        return self._make(calls.audit_page(cursor, limit, wanted))

    def audit_stream(self, **wanted: Unpack[EventFilter]) -> Iterator[AuditEvent]:
        """All of them, oldest first, in one answer (NDJSON): the fastest way to read a long trail."""
        call = calls.audit_stream(wanted)
        try:
            with self._http.stream(**self._connection.request(call)) as answer:
                if not answer.is_success:
                    answer.read()
                call.result(answer)
                yield from map(calls.read_event, answer.iter_lines())
        except httpx.RequestError as error:
            raise unreachable(error) from None

    def audit_checkpoints(self) -> Checkpoints:
        """The newest signed heads of the trail's chains."""
        return self._make(calls.audit_checkpoints())

    def delivery_statistics(
        self, *, group_by: Sequence[str] | None = None, **asked: Unpack[Window]
    ) -> DeliveryStatistics:
        """What became of messages. ``group_by``: some of app, country, sender, carrier, hour."""
        return self._make(calls.delivery_statistics(group_by, asked))

    def verification_statistics(self, **asked: Unpack[Window]) -> VerificationStatistics:
        """What became of verifications, by hour."""
        return self._make(calls.verification_statistics(asked))

    def apps(self) -> Apps:
        """Those that were defined. This and the calls below need the scope ``admin``."""
        return self._make(calls.apps())

    def get_app(self, app: str) -> App:
        return self._make(calls.get_app(app))

    def put_app(
        self, app: str, *, if_match: str | None = None, **definition: Unpack[AppOptions]
    ) -> App:
        """Create an app, or with ``if_match`` (an etag; ``*``: any state) replace its whole definition."""
        return self._make(calls.put_app(app, if_match, definition))

    def delete_app(self, app: str, *, if_match: str | None = None) -> None:
        """Its keys are revoked with it."""
        return self._make(calls.delete_app(app, if_match))

    def api_keys(self, app: str) -> ApiKeys:
        return self._make(calls.api_keys(app))

    def create_api_key(
        self, app: str, scopes: Sequence[str], *, expires_in: int | None = None
    ) -> NewApiKey:
        """``expires_in``: seconds; never without it."""
        return self._make(calls.create_api_key(app, scopes, expires_in))

    def revoke_api_key(self, app: str, id: str) -> None:
        """For good; instances notice within seconds."""
        return self._make(calls.revoke_api_key(app, id))

    def signing_keys(self) -> SigningKeys:
        """The public keys that proofs are checked with."""
        return self._make(calls.signing_keys())

    def explain(self, slug: str) -> ProblemType:
        """What a problem type means."""
        return self._make(calls.explain(slug))

    def check_alive(self) -> None:
        """Raises CountersignError: nobody answers."""
        return self._make(calls.check_alive())

    def check_ready(self) -> None:
        """Raises CountersignError: the service cannot do its work for the moment."""
        return self._make(calls.check_ready())

    def _make(self, call: Call[T]) -> T:
        tried = 1
        outcome = self._try(call)
        while (wait := self._connection.wait(call, outcome, tried)) is not None:
            time.sleep(wait)
            tried += 1
            outcome = self._try(call)
        if isinstance(outcome, httpx.RequestError):
            raise unreachable(outcome) from None
        return call.result(outcome)

    def _try(self, call: Call[Any]) -> Outcome:
        try:
            return self._http.send(self._http.build_request(**self._connection.request(call)))
        except httpx.RequestError as error:
            return error

    def _items(self, page: Callable[[str | None], Call[Any]]) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            found = self._make(page(cursor))
            yield from found.items
            if (cursor := found.next_cursor) is None:
                return
