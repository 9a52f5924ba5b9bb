"""What an app hears, from the whole service."""

import base64
import secrets
from collections.abc import AsyncIterator

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from redis.asyncio import Redis
from standardwebhooks import Webhook, WebhookVerificationError

from service.callbacks.signature import secrets_of
from service.domain.keyring import Keyring, parse_keys
from tests.callbacks.receiver import Hook, Receiver, receiving
from tests.harness import KEYS, World, eventually, world

PHONE = "+12025550123"
KEYRING = Keyring(parse_keys(KEYS))


@pytest.fixture(scope="module")
async def rest() -> AsyncIterator[Receiver]:
    """The receiver that the configuration names."""
    async with receiving() as running:
        yield running


@pytest.fixture(scope="module")
async def app(valkey: str, rest: Receiver) -> AsyncIterator[World]:
    async with Redis.from_url(valkey) as client:
        await client.flushall()
    inner = {"allow_http": True, "allow_private": True, "url": rest.url}
    async with world(valkey, callbacks=inner, limits={"recipient": []}) as running:
        yield running


async def _approved(app: World, receiver: Receiver, to: str = PHONE) -> tuple[str, str, list[Hook]]:
    started = await app.start(to, callback_url=receiver.url)
    code = (await app.codes(to, 1))[-1]
    verdict = (await app.verify(started["id"], code)).json()
    assert verdict["approved"]

    async def told() -> bool:
        return {"verification.approved", "delivery.reported"} <= set(receiver.types)

    await eventually(told)
    return started["id"], code, list(receiver.hooks)


async def test_an_app_hears_what_becomes_of_its_verification(
    app: World, receiver: Receiver
) -> None:
    id_, code, hooks = await _approved(app, receiver)
    assert hooks[0].type == "delivery.accepted"
    assert {hook.event["data"]["verification"] for hook in hooks} == {id_}
    approved = next(hook for hook in hooks if hook.type == "verification.approved").event
    assert approved.keys() == {"type", "timestamp", "data"}
    assert approved["timestamp"].endswith("Z")
    assert approved["data"]["masked"] == "+1********23"
    assert approved["data"]["delivery"] == 1
    assert approved["data"].keys() == {
        *("actor", "app", "attempts_remaining", "country", "delivery", "masked", "purpose"),
        *("reason", "recipient", "verification"),
    }
    assert len({hook.id for hook in hooks}) == len(hooks)
    everything = b"".join(hook.body for hook in hooks).decode()
    assert code not in everything
    assert PHONE[1:] not in everything


async def test_nobody_hears_who_did_not_ask(app: World, redis_keys: Redis) -> None:
    started = await app.start("+12025550124")
    (code,) = await app.codes("+12025550124")
    assert (await app.verify(started["id"], code)).json()["approved"]
    queued = [key async for key in redis_keys.scan_iter("*:out:q:ver_*")]
    assert not [key for key in queued if started["id"] in key]


@pytest.fixture
async def redis_keys(valkey: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey, decode_responses=True) as client:
        yield client


async def test_the_official_library_accepts_what_we_sign(app: World, receiver: Receiver) -> None:
    _, _, hooks = await _approved(app, receiver, "+12025550125")
    library = Webhook(secrets_of(KEYRING, "default")[0].secret)
    for hook in hooks:
        assert library.verify(hook.body, hook.headers) == hook.event


async def test_the_official_library_rejects_any_change(app: World, receiver: Receiver) -> None:
    _, _, hooks = await _approved(app, receiver, "+12025550126")
    hook = hooks[0]
    library = Webhook(secrets_of(KEYRING, "default")[0].secret)
    changed = hook.body.replace(b"delivery.accepted", b"delivery.rejected")
    forged: list[tuple[bytes, dict[str, str]]] = [
        (changed, hook.headers),
        (hook.body + b" ", hook.headers),
        (hook.body, hook.headers | {"webhook-id": "msg_00_1-0"}),
        (
            hook.body,
            hook.headers | {"webhook-timestamp": str(int(hook.headers["webhook-timestamp"]) - 1)},
        ),
    ]
    for body, headers in forged:
        with pytest.raises(WebhookVerificationError):
            library.verify(body, headers)
    with pytest.raises(WebhookVerificationError):  # another app's secret
        Webhook(secrets_of(KEYRING, "shop")[0].secret).verify(hook.body, hook.headers)


async def test_ed25519_signatures_hold(app: World, receiver: Receiver) -> None:
    _, _, hooks = await _approved(app, receiver, "+12025550127")
    public = secrets_of(KEYRING, "default")[0].public_key.removeprefix("whpk_")
    key = VerifyKey(base64.b64decode(public))
    hook = hooks[0]
    signed = dict(part.split(",", 1) for part in hook.headers["webhook-signature"].split(" "))
    assert signed.keys() == {"v1", "v1a"}
    content = f"{hook.id}.{hook.headers['webhook-timestamp']}.".encode() + hook.body
    signature = base64.b64decode(signed["v1a"])
    assert key.verify(content, signature) == content
    with pytest.raises(BadSignatureError):
        key.verify(content.replace(b"accepted", b"rejected"), signature)


def test_through_a_rotation_either_secret_is_right() -> None:
    older, newer, last = (secrets.token_bytes(32) for _ in range(3))
    before, between, after = (
        Keyring([older]),
        Keyring([newer, older]),
        Keyring([last, newer, older]),
    )
    held = secrets_of(before, "shop")[0]
    assert held.secret in [s.secret for s in secrets_of(between, "shop")]
    assert held.secret not in [s.secret for s in secrets_of(after, "shop")]
    assert len({s.secret for s in secrets_of(between, "shop")}) == 2


async def test_opt_outs_are_told_to_the_url_of_the_configuration(
    app: World, rest: Receiver
) -> None:
    path = "/v1/opt-outs/+12025550128"
    assert (await app.api.put(path)).is_success
    assert (await app.api.delete(path)).is_success

    async def both() -> bool:
        return rest.types[-2:] == ["opt_out.recorded", "opt_out.lifted"]

    await eventually(both)
    library = Webhook(secrets_of(KEYRING, "")[0].secret)
    for hook in rest.hooks[-2:]:
        assert library.verify(hook.body, hook.headers)["data"]["masked"] == "+1********28"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://shop.example/", ""),
        ("https://user:pass@shop.example/", ""),
        ("https://shop.example/#part", ""),
        ("https://shop.example/ x", ""),
        ("https://münchen.example/", ""),
        ("https://shop.example:70000/", "port"),
        ("https://shop.example/" + "x" * 2048, ""),
        ("https://shop.example/12025550123", "number"),
        ("//shop.example", ""),
        ("", ""),
    ],
)
async def test_a_bad_url_is_refused_by_name(app: World, url: str, said: str) -> None:
    answer = await app.api.post("/v1/verifications", json={"to": PHONE, "callback_url": url})
    problem = answer.json()
    assert (answer.status_code, problem["type"].split("/")[-1]) == (422, "invalid-request")
    assert said in problem["errors"][0]["detail"]
    if said != "number":
        assert problem["errors"][0]["pointer"] == "/callback_url"
    assert "user:" not in answer.text


async def test_a_try_that_failed_is_counted(app: World, receiver: Receiver) -> None:
    receiver.answers = [500]
    await app.start("+12025550129", callback_url=receiver.url)
    await receiver.until(1)

    async def counted() -> bool:
        text = (await app.api.get("/metrics")).text
        return 'countersign_callbacks_total{answer="5xx",outcome="retried"} 1.0' in text

    await eventually(counted)
