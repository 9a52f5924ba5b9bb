"""The emulated API, below ``/v2``: one file for each resource."""

from litestar import Router

from service.sandbox.routes import (
    autoresponses,
    hosted_numbers,
    lookup,
    messages,
    opt_outs,
    profiles,
    sender_ids,
    sending,
)
from service.sandbox.routes.gateway import check

router = Router(
    "/v2",
    guards=[check],
    route_handlers=[
        *sending.handlers,
        *messages.handlers,
        *sender_ids.handlers,
        *hosted_numbers.handlers,
        *opt_outs.handlers,
        *profiles.handlers,
        *autoresponses.handlers,
        *lookup.handlers,
    ],
)
