"""Signatures of Standard Webhooks (specification 1.0): ``v1`` is HMAC-SHA256, ``v1a`` is Ed25519.

Both secrets follow from a master key and the app's name, so none is stored. During a rotation a
callback is signed under the newest and the previous master key, and a receiver may hold either's.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from nacl.signing import SigningKey

from service.domain.keyring import Keyring

_MASTER_KEYS = 2


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What one master key gives an app: to check ``v1`` with, and ``v1a``."""

    shared: bytes
    signing: SigningKey

    @property
    def secret(self) -> str:
        """``whsec_...``: the receiver keeps it secret."""
        return f"whsec_{_base64(self.shared)}"

    @property
    def public_key(self) -> str:
        """``whpk_...``: anybody may know it."""
        return f"whpk_{_base64(bytes(self.signing.verify_key))}"

    def sign(self, content: bytes) -> str:
        mac = hmac.new(self.shared, content, hashlib.sha256).digest()
        return f"v1,{_base64(mac)} v1a,{_base64(self.signing.sign(content).signature)}"


def secrets_of(keyring: Keyring, app: str) -> list[Secrets]:
    """The app's secrets under the newest master key and the previous one. The empty name is that of
    what belongs to no app: the configuration's own URL."""
    shared = keyring.subkeys(f"callback-v1 {app}")
    seeds = keyring.subkeys(f"callback-v1a {app}")
    made = [Secrets(s, SigningKey(seed)) for s, seed in zip(shared, seeds, strict=True)]
    return made[:_MASTER_KEYS]


def signed_headers(keyring: Keyring, app: str, id_: str, now: int, body: bytes) -> dict[str, str]:
    """The three headers of a body at the time ``now`` (milliseconds)."""
    timestamp = str(now // 1000)
    content = b".".join([id_.encode(), timestamp.encode(), body])
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(s.sign(content) for s in secrets_of(keyring, app)),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
