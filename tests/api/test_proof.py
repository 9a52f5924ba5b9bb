"""A proof is given once, where it was asked for, and any service can check it offline."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from service.domain.proof import TYPE
from tests.harness import World, client, make_api_key

NONCE = "n-0S6_WzA2Mj.8f1c"
# The library warns of the name EdDSA, which most verifiers still go by (RFC 9864).
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


_numbers: Iterator[str] = (f"+1202555{number:04d}" for number in range(300, 400))


@pytest.fixture
def phone() -> str:
    """A number of the test's own: the tests share one inbox."""
    return next(_numbers)


async def _approved(
    app: World, phone: str, nth: int = 1, **body: Any
) -> tuple[str, str, dict[str, Any]]:
    started = await app.start(phone, **body)
    code = (await app.codes(phone, nth))[-1]
    answer = await app.verify(started["id"], code)
    assert answer.json()["approved"] is True
    return started["id"], code, answer.json()


async def _jwks(app: World) -> dict[str, Any]:
    answer = await app.phone.get(f"{app.api.base_url}/.well-known/jwks.json")  # without an API key
    assert answer.headers["cache-control"] == "public, max-age=300"
    return dict(answer.json())


def _keys(jwks: dict[str, Any]) -> KeySet:
    return KeySet.import_key_set(cast("Any", jwks))


def _check(proof: str, jwks: dict[str, Any]) -> dict[str, Any]:
    """All that a mobile backend's other services need: the library, the JWKS, and no network."""
    token = jwt.decode(proof, _keys(jwks), algorithms=["EdDSA"])
    assert token.header["typ"] == TYPE
    jwt.JWTClaimsRegistry(
        nonce={"essential": True, "value": NONCE}, exp={"essential": True}
    ).validate(token.claims)
    return dict(token.claims)


async def test_a_proof_names_what_was_proven(app: World, phone: str) -> None:
    id_, _, answer = await _approved(app, phone, nonce=NONCE, purpose="payment")
    claims = _check(answer.pop("proof"), await _jwks(app))
    now = time.time()
    assert set(answer) == {"id", "approved", "status", "attempts_remaining", "delivery"}
    assert claims.pop("jti").startswith("prf_")
    assert len(claims.pop("sub")) == 32
    assert now - 60 <= claims.pop("iat") <= now + 1
    assert now + 200 <= claims.pop("exp") <= now + 301
    assert claims == {
        "iss": app.settings.public_url,
        "app": "default",
        "purpose": "payment",
        "verification": id_,
        "nonce": NONCE,
    }
    assert phone[1:] not in json.dumps(claims)


async def test_without_a_nonce_there_is_no_proof(app: World, phone: str) -> None:
    _, _, answer = await _approved(app, phone)
    assert set(answer) == {"id", "approved", "status", "attempts_remaining", "delivery"}


async def test_a_wrong_code_and_a_replay_give_none(app: World, phone: str) -> None:
    started = await app.start(phone, nonce=NONCE)
    (code,) = await app.codes(phone)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    assert "proof" not in (await app.verify(started["id"], wrong)).json()
    assert "proof" in (await app.verify(started["id"], code)).json()
    replayed = await app.verify(started["id"], code)
    assert (replayed.status_code, "proof" in replayed.text) == (409, False)


async def test_what_another_signed_or_altered_is_refused(app: World, phone: str) -> None:
    _, _, answer = await _approved(app, phone, nonce=NONCE)
    proof, jwks = answer["proof"], await _jwks(app)
    header, payload, signature = proof.split(".")
    kid = jwks["keys"][0]["kid"]
    forged_key = OKPKey.generate_key("Ed25519", {"kid": kid})
    claims = jwt.decode(proof, _keys(jwks), algorithms=["EdDSA"]).claims
    forged = jwt.encode(
        {"alg": "EdDSA", "kid": kid, "typ": TYPE}, claims, forged_key, algorithms=["EdDSA"]
    )
    other_payload = jwt.encode(
        {"alg": "EdDSA"}, claims | {"app": "bank"}, forged_key, algorithms=["EdDSA"]
    ).split(".")[1]
    swapped = "B" if signature[5] != "B" else "C"
    for bad in (
        forged,
        f"{header}.{other_payload}.{signature}",
        f"{header}.{payload}.{signature[:5]}{swapped}{signature[6:]}",
        f"{header}.{payload}.",
    ):
        with pytest.raises((JoseError, ValueError)):
            _check(bad, jwks)
    _check(proof, jwks)


async def test_two_apps_cannot_tell_that_they_saw_the_same_person(
    app: World, phone: str, valkey: str
) -> None:
    jwks = await _jwks(app)
    _, _, first = await _approved(app, phone, nonce=NONCE)
    _, _, again = await _approved(app, phone, 2, nonce=NONCE)
    bank = client(str(app.api.base_url), await make_api_key(valkey, "bank"))
    async with bank:
        _, _, other = await _approved(replace(app, api=bank), phone, 3, nonce=NONCE)
    subjects = [_check(answer["proof"], jwks)["sub"] for answer in (first, again, other)]
    assert subjects[0] == subjects[1] != subjects[2]


@pytest.mark.parametrize("nonce", ["short", "x" * 129, "with a blank in it", "nonce-12025550123-x"])
async def test_a_bad_nonce_is_refused(app: World, nonce: str) -> None:
    answer = await app.api.post("/v1/verifications", json={"to": "+12025550123", "nonce": nonce})
    assert answer.status_code == 422
    assert nonce not in answer.text
