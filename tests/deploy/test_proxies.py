"""Caddy and nginx, with the files of deploy/, in front of an upstream that says what it was asked."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.harness import PATIENCE, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
CADDYFILE = DEPLOY / "caddy" / "Caddyfile"
NGINX_CONF = DEPLOY / "nginx" / "countersign.conf"
BACKENDS = "10.0.0.0/8"
# The bytes that Telnyx signed must arrive as they are.
WEBHOOK = b'{"data": {"text": "\xc3\xa9",   "n": 1}}'

pytestmark = pytest.mark.deploy


class _Upstream(BaseHTTPRequestHandler):
    """Answers with what came."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        seen = {
            "path": self.path,
            "forwarded": self.headers.get("x-forwarded-for"),
            "body": body.decode("latin-1"),
        }
        text = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _answer  # noqa: N815 - the names are the base's

    def handle(self) -> None:
        # A body that the proxy stops half-way ends the connection.
        with suppress(ConnectionError, ValueError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), _Upstream)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs; ``start`` gives one for which ``network`` are the backends."""

    start: Callable[[str], httpx.Client]

    def __call__(self, network: str = "127.0.0.0/8") -> httpx.Client:
        return self.start(network)


@pytest.fixture(scope="module", params=["caddy", "nginx"])
def proxy(
    request: pytest.FixtureRequest,
    upstream: int,
    tools: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    made = {"caddy": _caddy, "nginx": _nginx}[request.param]
    if request.param == "nginx" and shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    running: dict[str, httpx.Client] = {}
    ends: list[Callable[[], object]] = []

    def start(network: str) -> httpx.Client:
        if network not in running:
            context = _running(
                made, tmp_path_factory.mktemp(request.param), upstream, network, tools
            )
            running[network] = context.__enter__()
            ends.append(lambda: context.__exit__(None, None, None))
        return running[network]

    yield Proxy(start)
    for end in ends:
        end()


Maker = Callable[[Path, int, int, str, Path], tuple[list[str], str]]


@contextmanager
def _running(
    made: Maker, folder: Path, upstream: int, network: str, tools: Path
) -> Iterator[httpx.Client]:
    port = free_port()
    command, url = made(folder, port, upstream, network, tools)
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={"HOME": str(folder), "PATH": "/usr/bin"}
        )
    # The certificate is of this test's own making.
    client = httpx.Client(base_url=url, verify=False, trust_env=False)  # noqa: S501
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            assert process.poll() is None, log.read_text()
            try:
                client.get("/")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(PATIENCE)


def _caddy(
    folder: Path, port: int, upstream: int, network: str, tools: Path
) -> tuple[list[str], str]:
    """The file as it stands, but for its name, the upstream and the network."""
    url = f"http://127.0.0.1:{port}"
    text = CADDYFILE.read_text(encoding="utf-8")
    for ours, theirs in (
        ("otp.example.com {", f"{url} {{"),
        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
        (BACKENDS, network),
    ):
        assert ours in text
        text = text.replace(ours, theirs)
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tpersist_config off\n}\n" + text, encoding="utf-8")
    command = [str(tools / "caddy"), "run", "--adapter", "caddyfile", "--config", str(config)]
    return command, url


def _nginx(
    folder: Path, port: int, upstream: int, network: str, tools: Path
) -> tuple[list[str], str]:
    subprocess.run(
        [
            *("/usr/bin/openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    text = NGINX_CONF.read_text(encoding="utf-8")
    for ours, theirs in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
        ("/etc/nginx/otp.example.com.pem", str(folder / "cert.pem")),
        ("/etc/nginx/otp.example.com.key", str(folder / "key.pem")),
        (BACKENDS, network),
    ):
        assert ours in text
        text = text.replace(ours, theirs)
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\n{places}{text}}}\n",
        encoding="utf-8",
    )
    command = [str(shutil.which("nginx")), "-p", str(folder), "-c", str(config)]
    return command, f"https://127.0.0.1:{port}"


def test_the_caddyfile_is_right_and_formatted(tools: Path) -> None:
    for command in (["validate", "--adapter", "caddyfile", "--config"], ["fmt", "--diff"]):
        done = subprocess.run(
            [tools / "caddy", *command, CADDYFILE], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout


def test_a_webhook_arrives_as_it_was_signed(proxy: Proxy) -> None:
    for path in ("/webhooks/telnyx", "/webhooks/telnyx/some-ref"):
        answer = proxy().post(path, content=WEBHOOK)
        assert answer.json()["path"] == path
        assert answer.json()["body"] == WEBHOOK.decode("latin-1")
    assert proxy().get("/webhooks/telnyx").status_code in {403, 404}


def test_no_caller_chooses_its_own_address(proxy: Proxy) -> None:
    answer = proxy().get("/v1/stats/deliveries", headers={"x-forwarded-for": "203.0.113.9"})
    assert answer.json()["forwarded"] == "127.0.0.1"


def test_only_backends_reach_the_api(proxy: Proxy) -> None:
    assert proxy().post("/v1/verifications", content=b"{}").status_code == 200
    stranger = proxy(BACKENDS)
    assert stranger.post("/v1/verifications", content=b"{}").status_code in {403, 404}
    assert stranger.post("/webhooks/telnyx", content=WEBHOOK).status_code == 200
    assert stranger.get("/.well-known/jwks.json").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json", "/readyz", "/"])
def test_nobody_reaches_what_is_for_operators(proxy: Proxy, path: str) -> None:
    assert proxy().get(path).status_code == 404


def test_a_body_beyond_what_a_webhook_may_have_stops_there(proxy: Proxy) -> None:
    at_most = b"x" * 64 * 1024
    assert proxy().post("/webhooks/telnyx", content=at_most).status_code == 200
    assert proxy().post("/webhooks/telnyx", content=at_most + b"x").status_code == 413
