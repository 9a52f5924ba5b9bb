"""The Litestar application: controllers, error handlers and limits, joined."""

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from service.api import operations, problems
from service.api.notices import Notices
from service.api.opt_outs import OptOuts
from service.api.parts import Parts
from service.api.proofs import publish_keys
from service.api.verifications import Verifications
from service.api.webhooks import Webhooks
from service.domain.errors import CountersignError

MAX_BODY = 16 * 1024
_OPERATIONS = (operations.livez, operations.readyz, operations.metrics)
_REQUESTS = (
    Verifications,
    Notices,
    OptOuts,
    Webhooks,
    operations.openapi,
    operations.docs,
    operations.explain_problem,
    publish_keys,
)


def create_api(parts: Parts | None, *, takes_requests: bool = True) -> Litestar:
    """Build the application. Without parts it describes itself and answers nothing else; a worker's
    process has the operations alone."""
    return Litestar(
        route_handlers=[*_OPERATIONS, *(_REQUESTS if takes_requests else ())],
        dependencies={"parts": Provide(lambda: parts, sync_to_thread=False)},
        exception_handlers={
            CountersignError: problems.of_error,
            HTTPException: problems.of_framework,
            Exception: problems.of_anything,
        },
        state=State({"parts": parts}),
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        # The framework would set the root logger to INFO, at which httpx logs webhook URLs.
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
