"""``countersign up``: Valkey, the Telnyx sandbox and the service on one machine, as children of this
process. None outlives it; a stop ends the service first, then the sandbox, then Valkey."""

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
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from nacl.signing import SigningKey

from service.cli import embedded
from service.cli.children import end, spawn
from service.cli.secrets import keep_secret, new_key, write_secret

_READY_TIMEOUT = 30.0
_POLL = 0.02
_STOP_TIMEOUT = 25.0
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
        LocalError: a port is taken, or a part does not start.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    for wanted, option in ((port, "--port"), (sandbox_port, "--sandbox-port")):
        _check_free(wanted, option)
    places = _prepare(data, port, sandbox_port)
    with ExitStack() as stack:
        redis_url = _start_valkey(places, stack)
        environment = _environment(places, redis_url, config)
        children = {
            "sandbox": _start("sandbox", places, environment, stack, sandbox_port),
            "serve": _start("serve", places, environment, stack, port),
        }
        # While they start: the key needs only the store.
        api_key = _api_key(places, redis_url)
        _wait_ready(f"{places.sandbox_url}/sandbox/messages", children, places, stopping)
        _wait_ready(f"{places.url}/readyz", children, places, stopping)
        if not stopping.is_set():
            _write_dev_env(places, redis_url, api_key)
            _greet(places)
        return _supervise(children, stopping, places)


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
        )
    except OSError as error:
        raise LocalError(
            f"{data} cannot be written: {error.strerror}; choose with --data"
        ) from None


def _start_valkey(places: _Places, stack: ExitStack) -> str:
    try:
        valkey = embedded.start(places.data / "valkey", password=places.redis_password)
        stack.callback(valkey.stop)
        valkey.wait_ready()
    except embedded.EmbeddedError as error:
        raise LocalError(str(error)) from None
    return valkey.url


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
        "COUNTERSIGN_KEYS": places.keys,
        "REDIS_URL": redis_url,
        "TELNYX_API_KEY": places.telnyx_key,
        "TELNYX_PUBLIC_KEY": places.public_key,
        "SANDBOX_SEED": places.seed,
    }


def _start(
    command: str, places: _Places, environment: Mapping[str, str], stack: ExitStack, port: int
) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, "-m", "service", command, "--port", str(port)]
    if command == "sandbox":
        arguments += ["--webhook-url", f"{places.url}/webhooks/telnyx"]
    child = spawn(arguments, env=environment, log=places.data / f"{command}.log")
    stack.callback(end, child, _STOP_TIMEOUT)
    return child


def _api_key(places: _Places, redis_url: str) -> str:
    """The key of the last run if the store still knows it, else a new one, with every scope."""
    import asyncio

    from service.cli.api_keys import open_keys
    from service.store.api_keys import Scope

    async def find() -> str:
        path = places.data / "secrets" / "api-key"
        async with open_keys(redis_url) as store:
            if path.exists():
                plain = path.read_text(encoding="utf-8").strip()
                if await store.check(plain) is not None:
                    return plain
            _, plain = await store.create("default", list(Scope))
        write_secret(path, plain)
        return plain

    return asyncio.run(find())


def _wait_ready(
    url: str,
    children: "Mapping[str, subprocess.Popen[bytes]]",
    places: _Places,
    stopping: threading.Event,
) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT
    while not stopping.is_set() and not _answers(url):
        for name, child in children.items():
            if child.poll() is not None:
                raise LocalError(f"the {name} ended while it started; {_last_words(name, places)}")
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
    log = places.data / f"{name}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    return "\n".join([f"the end of {log}:", *lines])


def _write_dev_env(places: _Places, redis_url: str, api_key: str) -> None:
    values = {
        "COUNTERSIGN_URL": places.url,
        "COUNTERSIGN_API_KEY": api_key,
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

  . {shown}
  curl -s $COUNTERSIGN_URL/v1/verifications -H "Authorization: Bearer $COUNTERSIGN_API_KEY" \\
       -H 'Content-Type: application/json' -d '{{"to": "+12025550123"}}'
""",
        flush=True,
    )


def _supervise(
    children: "Mapping[str, subprocess.Popen[bytes]]", stopping: threading.Event, places: _Places
) -> int:
    while not stopping.wait(0.2):
        for name, child in children.items():
            if child.poll() is not None:
                raise LocalError(f"the {name} ended by itself; {_last_words(name, places)}")
    print("Stopping ...", flush=True)
    # In this order, so that what is in flight can still be sent and recorded.
    for child in (children["serve"], children["sandbox"]):
        end(child, _STOP_TIMEOUT)
    return 0
