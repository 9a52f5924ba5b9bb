"""``countersign serve``."""

from service.app import Role, build
from service.cli.serving import serve
from service.settings import Settings
from service.telemetry import configure_logging


async def serve_service(settings: Settings, role: Role, host: str, port: int) -> None:
    """Serve the API, the worker or both; a stop finishes what is in flight.

    Raises:
        UnavailableError, StoreSetupError: the store cannot be used.
        OSError: the address cannot be listened on.
    """
    configure_logging(settings.log_level)
    async with build(settings, role) as service:
        await serve(service.api, host, port)
