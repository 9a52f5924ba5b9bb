"""A proof of an approved verification: a JWS that any service can check offline.

Signed with EdDSA (RFC 8037) under a key of the keyring; ``GET /.well-known/jwks.json`` publishes the public
halves, so a rotation needs nothing from those who check. The recipient stands in it as a digest of
the app's own: two apps cannot tell that they saw the same person.
"""

from base64 import urlsafe_b64encode
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from nacl.signing import SigningKey

from service.domain.keyring import Keyring
from service.domain.verification import Verification

LIFE = 300_000
"""How long a proof may be relied on, in milliseconds."""
TYPE = "countersign-proof+jwt"
"""The JWS header ``typ`` (RFC 8725 section 3.11): nothing else that we sign can pass for a proof."""
_ALGORITHM = "EdDSA"


class _EdDSA(JWSRegistry):
    """Signs as ``EdDSA``. RFC 9864 prefers the name ``Ed25519`` for the same thing, and the library
    warns, but most verifiers do not know that name yet."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def sign_proof(
    v: Verification, nonce: str, keyring: Keyring, *, issuer: str, id_: str, at: int
) -> str:
    """The proof that a verification was approved at ``at``, under the key of its record.

    Raises:
        KeyringError: that key is gone.
    """
    issued = at // 1000
    claims = {
        "iss": issuer,
        "sub": keyring.digest("proof-subject", f"{v.app}|{v.recipient_id}"),
        "app": v.app,
        "purpose": v.purpose,
        "verification": v.id,
        "nonce": nonce,
        "iat": issued,
        "exp": issued + LIFE // 1000,
        "jti": id_,
        **({"test": True} if v.test else {}),
    }
    header = {"alg": _ALGORITHM, "kid": v.key_id, "typ": TYPE}
    seed = keyring.signing_seed(v.key_id)
    key = OKPKey.import_key({**_public_jwk(v.key_id, seed), "d": _base64url(seed)})
    return jwt.encode(header, claims, key, registry=_EdDSA(algorithms=[_ALGORITHM]))


def public_keys(keyring: Keyring) -> list[dict[str, str]]:
    """The public keys of all keys of the ring, as JWKs (RFC 7517), newest first."""
    return [_public_jwk(id_, keyring.signing_seed(id_)) for id_ in keyring.ids]


def _public_jwk(key_id: str, seed: bytes) -> dict[str, str]:
    public = bytes(SigningKey(seed).verify_key)
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": _ALGORITHM,
        "use": "sig",
        "kid": key_id,
        "x": _base64url(public),
    }


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
