"""What a sandbox is started with."""

import base64
from dataclasses import dataclass, field
from pathlib import Path

from nacl.signing import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """``signing_seed``: 32 bytes of an Ed25519 key; times are in seconds.

    ``retry_delays``: the pauses before the second and third attempt at a webhook URL (Telnyx does not
    publish its own). ``data``: the directory that the state outlives the process in; without it, in memory.
    """

    api_key: str = field(repr=False)
    signing_seed: bytes = field(repr=False)
    profile_webhook_url: str | None = None
    report_delay: float = 0.1
    webhook_timeout: float = 2.0
    retry_delays: tuple[float, ...] = (0.5, 1.0)
    slow_seconds: float = 3.0
    data: Path | None = None

    @property
    def public_key(self) -> str:
        """Base64 of the 32 raw bytes, as Telnyx's portal shows it."""
        return base64.b64encode(bytes(SigningKey(self.signing_seed).verify_key)).decode()
