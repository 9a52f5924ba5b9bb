"""``/.well-known/jwks.json``: the public keys that proofs are checked with, offline and by anyone."""

from litestar import get
from litestar.di import NamedDependency
from pydantic import BaseModel

from service.api.body import Answer, answer
from service.api.parts import Parts
from service.domain.proof import public_keys

_CACHE = "public, max-age=300"


class JwkAnswer(BaseModel):
    """An Ed25519 public key (RFC 8037)."""

    kty: str
    crv: str
    alg: str
    use: str
    kid: str
    x: str


class JwksAnswer(BaseModel):
    """Keys of the whole keyring, so that a proof outlives a rotation (RFC 7517)."""

    keys: list[JwkAnswer]


@get(
    "/.well-known/jwks.json",
    operation_id="publishKeys",
    summary="The public keys that proofs are signed with",
    tags=["verifications"],
    opt={"answer": JwksAnswer},
)
async def publish_keys(parts: NamedDependency[Parts]) -> Answer:
    found = [JwkAnswer(**jwk) for jwk in public_keys(parts.keyring)]
    return answer(JwksAnswer(keys=found), headers={"cache-control": _CACHE})
