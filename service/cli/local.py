"""``countersign up``: Valkey, the Telnyx sandbox and the service on one machine, as children of this
process. None outlives it; one that ends by itself is started again; a stop ends the service first,
then the sandbox, then Valkey."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

from nacl.signing import SigningKey

from service.cli import embedded
from service.cli.children import Restarts, end, spawn
from service.cli.secrets import keep_secret, new_api_key, new_key, write_secret

_READY_TIMEOUT = 30.0
_POLL = 0.02
_STOP_TIMEOUT = 25.0
_WATCH = 0.1
_HOST = "127.0.0.1"


class LocalError(Exception):
    """It cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where things are, and the secrets that they share."""

    data: Path
    port: int
    sandbox_port: int
    keys: str
    seed: str
    telnyx_key: str
    redis_password: str
    api_key: str

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://{_HOST}:{self.sandbox_port}"

    @property
    def public_key(self) -> str:
        return b64encode(bytes(SigningKey(b64decode(self.seed)).verify_key)).decode()


def run_local(data: Path, *, port: int, sandbox_port: int, config: Path | None) -> int:
    """Run until SIGTERM or SIGINT; gives the exit status.

    Raises:
        LocalError: a port is taken, a part does not start, or one ends again and again.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    for wanted, option in ((port, "--port"), (sandbox_port, "--sandbox-port")):
        _check_free(wanted, option)
    places = _prepare(data, port, sandbox_port)
    valkey = _start_valkey(places)

    def restart_valkey() -> "subprocess.Popen[bytes]":
        nonlocal valkey
        valkey.stop()  # it has ended; this gives back its data directory
        valkey = _start_valkey(places)
        return valkey.process

    parts = [_Part("valkey", restart_valkey, valkey.process)]
    try:
        environment = _environment(places, valkey.url, config)
        for name in ("sandbox", "serve"):
            # One by one: what has started must be ended even if the next does not start.
            parts.append(_Part(name, partial(_start, name, places, environment)))  # noqa: PERF401
        _wait_ready(f"{places.sandbox_url}/sandbox/messages", parts, places, stopping)
        _wait_ready(f"{places.url}/readyz", parts, places, stopping)
        if not stopping.is_set():
            _write_dev_env(places, valkey.url)
            _greet(places)
        while not stopping.wait(_WATCH):
            for part in parts:
                part.restart_if_ended(places)
        print("Stopping ...", flush=True)
    finally:
        _end_all(parts)
    return 0


class _Part:
    """One child process, started again when it ends by itself."""

    def __init__(
        self,
        name: str,
        start: "Callable[[], subprocess.Popen[bytes]]",
        process: "subprocess.Popen[bytes] | None" = None,
    ) -> None:
        self.name = name
        self._start = start
        self._restarts = Restarts()
        self.process = process or start()

    def restart_if_ended(self, places: _Places) -> None:
        """Raises LocalError if it has ended too often of late to be worth another try."""
        if self.process.poll() is None:
            return
        if self._restarts.too_many():
            raise LocalError(f"{self.name} ends again and again; {_last_words(self.name, places)}")
        print(
            f"{self.name} ended (status {self.process.returncode}); starting it again", flush=True
        )
        self.process = self._start()


def _end_all(parts: "list[_Part]") -> None:
    """The last started first, so that what is in flight can still be sent and recorded."""
    for part in reversed(parts):
        end(part.process, _STOP_TIMEOUT)


def _check_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            raise LocalError(f"port {port} is in use: choose another with {option}") from None


def _prepare(data: Path, port: int, sandbox_port: int) -> _Places:
    secrets = data.absolute() / "secrets"
    try:
        secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It says "ready": that of an earlier run must not.
        (data / "dev.env").unlink(missing_ok=True)
        return _Places(
            data=data.absolute(),
            port=port,
            sandbox_port=sandbox_port,
            keys=keep_secret(secrets / "keys", new_key),
            seed=keep_secret(secrets / "sandbox-seed", new_key),
            telnyx_key=keep_secret(
                secrets / "telnyx-api-key", lambda: f"KEY{os.urandom(16).hex()}"
            ),
            redis_password=keep_secret(secrets / "redis", lambda: os.urandom(16).hex()),
            api_key=keep_secret(secrets / "api-key", new_api_key),
        )
    except OSError as error:
        raise LocalError(
            f"{data} cannot be written: {error.strerror}; choose with --data"
        ) from None


def _start_valkey(places: _Places) -> embedded.EmbeddedValkey:
    try:
        valkey = embedded.start(places.data / "valkey", password=places.redis_password)
        valkey.wait_ready()
    except embedded.EmbeddedError as error:
        raise LocalError(str(error)) from None
    return valkey


def _environment(places: _Places, redis_url: str, config: Path | None) -> dict[str, str]:
    builtin = places.data / "up.toml"
    if config is None:
        source = resources.files("service.cli") / "up.toml"
        builtin.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return {
        **os.environ,
        "COUNTERSIGN_CONFIG": str((config or builtin).absolute()),
        "COUNTERSIGN_PUBLIC_URL": places.url,
        "COUNTERSIGN_TELNYX_BASE_URL": f"{places.sandbox_url}/v2",
        # Nothing runs beside this one.
        "COUNTERSIGN_UPGRADES": "at_once",
        # An app under development hears its callbacks on this machine.
        "COUNTERSIGN_CALLBACKS": '{"allow_http": true, "allow_private": true}',
        "COUNTERSIGN_KEYS": places.keys,
        "COUNTERSIGN_API_KEY": places.api_key,
        "REDIS_URL": redis_url,
        "TELNYX_API_KEY": places.telnyx_key,
        "TELNYX_PUBLIC_KEY": places.public_key,
        "SANDBOX_SEED": places.seed,
    }


def _start(
    command: str, places: _Places, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    port = places.sandbox_port if command == "sandbox" else places.port
    arguments = [sys.executable, "-m", "service", command, "--port", str(port)]
    if command == "sandbox":
        arguments += ["--webhook-url", f"{places.url}/webhooks/telnyx"]
        arguments += ["--data", str(places.data / "sandbox")]
    return spawn(arguments, env=environment, log=places.data / f"{command}.log")


def _wait_ready(
    url: str,
    parts: "list[_Part]",
    places: _Places,
    stopping: threading.Event,
) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT
    while not stopping.is_set() and not _answers(url):
        for part in parts:
            if part.process.poll() is not None:
                raise LocalError(f"{part.name} did not start; {_last_words(part.name, places)}")
        if time.monotonic() > deadline:
            raise LocalError(f"{url} did not answer within {_READY_TIMEOUT:.0f} s")
        stopping.wait(_POLL)


def _answers(url: str) -> bool:
    # No proxy of the environment's may stand between us and our own children.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _last_words(name: str, places: _Places) -> str:
    log = places.data / ("valkey" if name == "valkey" else "") / f"{name}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    return "\n".join([f"the end of {log}:", *lines])


def _write_dev_env(places: _Places, redis_url: str) -> None:
    values = {
        "COUNTERSIGN_URL": places.url,
        "COUNTERSIGN_API_KEY": places.api_key,
        "SANDBOX_URL": places.sandbox_url,
        "REDIS_URL": redis_url,
        "TELNYX_API_KEY": places.telnyx_key,
        "TELNYX_PUBLIC_KEY": places.public_key,
    }
    write_secret(
        places.data / "dev.env", "\n".join(f"{name}={value}" for name, value in values.items())
    )


def _greet(places: _Places) -> None:
    shown = os.path.relpath(places.data / "dev.env")
    print(
        f"""
Countersign is ready: {places.url} (docs at {places.url}/docs)
The phones' inbox:     {places.sandbox_url}/
The dashboard:         {places.url}/dashboard (sign in with $COUNTERSIGN_API_KEY)

  . {shown}
  curl -s $COUNTERSIGN_URL/v1/verifications -H "Authorization: Bearer $COUNTERSIGN_API_KEY" \\
       -H 'Content-Type: application/json' -d '{{"to": "+12025550123"}}'
""",
        flush=True,
    )
