"""The store alone, for commands that need nothing else of the configuration."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.settings import load_store
from service.store.connection import Connection
from service.store.setup import check_setup


@asynccontextmanager
async def open_store() -> AsyncIterator[Connection]:
    """The store at REDIS_URL, with the TLS files of the TOML file at COUNTERSIGN_CONFIG, if there is one.

    Raises:
        SettingsError: REDIS_URL is not set, or the files are not there.
        StoreSetupError, UnavailableError: the store cannot be used.
    """
    connection = await Connection.open(*load_store())
    try:
        await check_setup(connection)
        yield connection
    finally:
        await connection.close()
