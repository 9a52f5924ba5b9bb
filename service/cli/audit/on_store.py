"""A command's work on the store, and what it says where that fails."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import typer

from service.cli.telnyx.calls import fail


def on_store(work: Coroutine[Any, Any, None]) -> None:
    from service.domain.errors import UnavailableError
    from service.settings import SettingsError
    from service.store.connection import StoreSetupError

    try:
        asyncio.run(work)
    except (SettingsError, StoreSetupError) as error:
        fail(str(error))
    except UnavailableError:
        fail("Redis does not answer at REDIS_URL: check that it runs and that the URL is right")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        # Whoever read has gone; nothing may be written to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
