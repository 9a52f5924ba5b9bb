"""``countersign serve``."""

import asyncio
import gc
from dataclasses import dataclass

from service.api.admission import Admission
from service.app import Role, build
from service.cli.proxies import behind, check_proxies
from service.cli.serving import Site, serve
from service.clock import SystemClock
from service.settings import Settings
from service.telemetry import configure_logging

_COLLECT_AFTER = 20_000
"""Objects that may be cycles, after which the young ones are looked through."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process listens. One of several has an ``inherited`` socket, and an ``index``."""

    host: str
    port: int
    inherited: int | None = None
    index: int = 0


async def serve_service(settings: Settings, role: Role, place: Place) -> None:
    """Serve the API, the worker or both; a stop finishes what is in flight.

    Raises:
        SettingsError: it is left open which proxies are to be believed.
        UnavailableError, StoreSetupError: the store cannot be used.
        OSError: the address cannot be listened on.
    """
    check_proxies(settings, place.host)
    configure_logging(settings.log_level)
    async with build(settings, role) as service:
        _spare_collections()
        parts = service.api.state.parts
        admission = Admission(lambda: parts.connection.delay, lambda: service.telnyx.sending)
        guarded = admission.guard(service.api, parts.metrics)
        app = behind(guarded, settings.http.trusted_proxies, SystemClock())
        observing = asyncio.create_task(admission.run())
        sites = [Site(app, place.host, place.port, inherited=place.inherited)]
        if service.inspection is not None and settings.http.inspection is not None:
            address, _, number = settings.http.inspection.rpartition(":")
            # A scrape is to reach each process.
            sites.append(Site(service.inspection, address.strip("[]"), int(number) + place.index))
        try:
            await serve(*sites)
        finally:
            observing.cancel()


def _spare_collections() -> None:
    """What was built lives as long as the process: to look through it again and again for garbage held up
    requests for a tenth of a second each time. A request leaves next to no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
