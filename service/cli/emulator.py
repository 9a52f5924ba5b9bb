"""``countersign sandbox``. It imports nothing of the service proper, and so starts at once."""

import base64
import binascii
import os
from pathlib import Path

from service.cli.secrets import new_key
from service.cli.serving import Site, serve
from service.sandbox.app import build
from service.sandbox.config import SandboxConfig


async def serve_sandbox(
    host: str, port: int, webhook_url: str, report_delay: float, data: Path | None
) -> None:
    """Serve the Telnyx emulator; with ``data`` what it knows outlives it.

    Raises:
        ValueError: SANDBOX_SEED is not Base64 of 32 bytes, or ``data`` cannot be used.
        OSError: the address cannot be listened on.
    """
    given = os.environ.get("SANDBOX_SEED")
    config = SandboxConfig(
        api_key=os.environ.get("TELNYX_API_KEY", "sandbox"),
        signing_seed=_seed(given or new_key()),
        profile_webhook_url=webhook_url,
        report_delay=report_delay,
        data=data,
    )
    if given is None:
        print(f"TELNYX_PUBLIC_KEY={config.public_key}", flush=True)
    sandbox = build(config)

    def end_streams() -> None:
        for end in sandbox.state.get("before_stop", ()):
            end()

    await serve(Site(sandbox, host, port, end_streams))


def _seed(text: str) -> bytes:
    try:
        seed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        seed = b""
    if len(seed) != 32:
        raise ValueError(
            "SANDBOX_SEED must be Base64 of 32 bytes; make one with: countersign keyring generate"
        )
    return seed
