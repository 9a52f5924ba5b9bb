"""Where a POST may go, and what ends it: addresses, names, TLS, redirects, long answers."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.callbacks import client as module
from service.callbacks.client import CallbackClient
from service.callbacks.guarded import Resolve
from service.domain.address import is_public
from service.domain.callback import CallbackRules, CallbackUrlError
from tests.callbacks.conftest import INNER
from tests.callbacks.receiver import NEVER, Receiver, receiving

OUTER = CallbackRules(allow_http=True)
TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the default one takes long to load
SHUT = [
    str(ipaddress.IPv4Address(0)), "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip
OPEN = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"]


def _names(*addresses: str) -> Resolve:
    """A DNS that has these addresses for every name."""

    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


async def _post(client: CallbackClient, url: str) -> module.Answer:
    try:
        return await client.post(url, {"webhook-id": "m"}, b"{}", 0)
    finally:
        await client.close()


@pytest.mark.parametrize("address", SHUT)
async def test_a_shut_address_is_refused_however_it_is_reached(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    bare = address.split("%", maxsplit=1)[0]
    host = f"[{bare}]" if ":" in bare else bare
    with pytest.raises(CallbackUrlError, match="private or reserved"):
        OUTER.check(f"http://{host}:8000/")
    by_name = CallbackClient(OUTER, tls=TRUSTS_NOBODY, resolve=_names(address))
    answer = await _post(by_name, "http://hooks.example/")
    assert (answer.word, answer.final) == ("address_refused", True)


@pytest.mark.parametrize("address", SHUT)
def test_private_receivers_open_no_more_than_ones_own_network(address: str) -> None:
    bare = ipaddress.ip_address(address)
    own = ("10.", "100.64.", "127.", "172.", "192.168.", "fc00:")
    assert INNER.may_reach(str(bare)) == (address.startswith(own) or address == "::1")


@pytest.mark.parametrize("metadata", ["100.100.100.200", "fd00:ec2::254", "fd20:ce::254"])
def test_nor_where_clouds_hand_out_credentials(metadata: str) -> None:
    assert not INNER.may_reach(metadata)


def test_ports_are_as_configured() -> None:
    few = CallbackRules(allow_http=True, ports=frozenset({443, 8443}))
    few.check("https://hooks.example/")
    few.check("https://hooks.example:8443/")
    for url in ("https://hooks.example:22/", "http://hooks.example/"):
        with pytest.raises(CallbackUrlError, match=r"443, 8443"):
            few.check(url)


@pytest.mark.parametrize("address", OPEN)
def test_an_ordinary_address_is_not(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


async def test_one_shut_address_among_others_is_enough() -> None:
    client = CallbackClient(OUTER, resolve=_names("8.8.8.8", "10.0.0.1"))
    assert (await _post(client, "http://hooks.example/")).word == "address_refused"


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1"])
async def test_other_spellings_of_this_machine_are_refused_at_the_connection(
    receiver: Receiver, host: str
) -> None:
    """The system's resolver is asked, and knows them all."""
    answer = await _post(CallbackClient(OUTER), f"http://{host}:{receiver.port}/")
    assert answer.word == "address_refused"
    assert receiver.hooks == []


async def test_a_name_that_moves_is_looked_at_when_the_connection_is_made(
    receiver: Receiver,
) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    async def resolve(host: str, port: int) -> list[str]:
        return next(answers)

    await resolve("hooks.example", 80)  # whoever looked before saw a public address
    answer = await _post(
        CallbackClient(OUTER, resolve=resolve), f"http://hooks.example:{receiver.port}/"
    )
    assert answer.word == "address_refused"
    assert receiver.hooks == []


async def test_a_name_that_nobody_knows_may_be_known_later() -> None:
    answer = await _post(CallbackClient(OUTER), "https://nowhere.invalid/")
    assert (answer.word, answer.final) == ("no_connection", False)


async def test_the_next_address_is_tried(receiver: Receiver) -> None:
    client = CallbackClient(INNER, resolve=_names("::1", "127.0.0.1"))
    assert (await _post(client, f"http://hooks.example:{receiver.port}/")).delivered


async def test_rules_that_became_stricter_hold_for_what_waits(receiver: Receiver) -> None:
    answer = await _post(CallbackClient(CallbackRules()), receiver.url)
    assert (answer.word, answer.final) == ("url_refused", True)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_success(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    assert (await _post(CallbackClient(INNER), receiver.url)).delivered
    hook = receiver.hooks[0]
    assert hook.target == "/hooks?of=shop"
    assert hook.headers["content-type"] == "application/json"


async def test_a_redirect_is_a_failure_and_not_followed(receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        receiver.answers = [(307, f"location: {elsewhere.url}\r\n")]
        answer = await _post(CallbackClient(INNER), receiver.url)
        assert (answer.word, answer.delivered, answer.final) == ("307", False, False)
        assert elsewhere.hooks == []


async def test_a_long_answer_is_not_read(receiver: Receiver) -> None:
    receiver.answers = [200]
    receiver.body = b"x" * 50_000_000
    assert (await _post(CallbackClient(INNER), receiver.url)).delivered


async def test_a_post_ends_as_a_whole(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POST_TIMEOUT", 100)
    receiver.answers = [NEVER]
    assert (await _post(CallbackClient(INNER), receiver.url)).word == "timeout"


async def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await _post(CallbackClient(INNER), receiver.url)).delivered


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of hooks.example, signed by itself; key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("host", "trusted", "word"),
    [
        ("hooks.example", True, "204"),
        ("other.example", True, "tls"),
        ("hooks.example", False, "tls"),
    ],
)
async def test_tls_is_verified_against_the_name(
    certificate: Path, host: str, trusted: bool, word: str
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=certificate if trusted else None)
    async with receiving(server) as receiver:
        client = CallbackClient(INNER, tls=trust, resolve=_names("127.0.0.1"))
        answer = await _post(client, f"https://{host}:{receiver.port}/")
        assert answer.word == word
        assert len(receiver.hooks) == (1 if word == "204" else 0)
