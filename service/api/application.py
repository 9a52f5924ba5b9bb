"""The Litestar application: controllers, error handlers and limits, joined."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from service.api import operations, problems
from service.api.apps import Apps
from service.api.audit import Audit
from service.api.auth import Authorize
from service.api.notices import Notices
from service.api.opt_outs import OptOuts
from service.api.parts import Parts
from service.api.proofs import publish_keys
from service.api.stats import Stats
from service.api.surface import LinkCaller, TakeIn, add_headers
from service.api.verifications import Verifications
from service.api.webhooks import Webhooks
from service.domain.errors import CountersignError
from service.tracing import is_tracing

MAX_BODY = 16 * 1024
_HEALTH = (operations.livez, operations.readyz)
_INSPECTION = (operations.metrics, operations.openapi, operations.docs)
_REQUESTS = (
    Verifications,
    Notices,
    OptOuts,
    Stats,
    Audit,
    Apps,
    Webhooks,
    operations.explain_problem,
    publish_keys,
)


def create_api(
    parts: Parts | None,
    *,
    takes_requests: bool = True,
    inspection: bool = True,
    pages: Sequence[Router] = (),
) -> Litestar:
    """Build the application. Without parts it describes itself and answers nothing else. A worker's
    process takes no requests; without ``inspection`` metrics and documents are left to a port of
    their own. ``pages``: of the dashboard."""
    looks = _INSPECTION if takes_requests else (operations.metrics,)
    handlers = [
        *_HEALTH,
        *((*_REQUESTS, *pages) if takes_requests else ()),
        *(looks if inspection else ()),
    ]
    return _create(handlers, parts)


def create_inspection(parts: Parts, api: Litestar, pages: Sequence[Router] = ()) -> Litestar:
    """Metrics, the documents of ``api`` and the dashboard, for a port that only operators reach."""
    return _create([*_HEALTH, *_INSPECTION, *pages], parts, described=api)


def _create(handlers: Sequence[Any], parts: Parts | None, **state: object) -> Litestar:
    return Litestar(
        route_handlers=handlers,
        middleware=[TakeIn(), *([LinkCaller()] if is_tracing() else []), Authorize()],
        before_send=[add_headers],
        dependencies={"parts": Provide(_parts, sync_to_thread=False)},
        exception_handlers={
            CountersignError: problems.of_error,
            HTTPException: problems.of_framework,
            Exception: problems.of_anything,
        },
        state=State({"parts": parts, **state}),
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        # The framework would set the root logger to INFO, at which httpx logs webhook URLs.
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )


def _parts(request: Request[Any, Any, Any]) -> Parts:
    found: Parts = request.app.state.parts
    return found
