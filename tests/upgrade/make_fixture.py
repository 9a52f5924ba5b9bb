"""Makes ``layout_1.ndjson`` anew: what the release before leaves in Redis, by running that release.

    python -m tests.upgrade.make_fixture

It needs this repository's history. The old code runs from a work tree of its own, under this environment's
libraries; people who log in through it have fictional numbers, and its keys are used nowhere else.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from tests.deploy.pages import ROOT
from tests.e2e.local import Up
from tests.harness import read_code
from tests.upgrade.fixture import FIXTURE

PREVIOUS = "698a522"
"""The last commit whose data has layout 1."""
_NUMBERS = {
    name: f"+120255501{n:02d}"
    for n, name in enumerate(
        (
            *("live", "keyed", "guessed", "approved", "canceled", "limited", "stopping", "erased"),
            *("put", "stopped", "noticed"),
        ),
        start=20,
    )
}
_FALLEN_BACK = "+12025550100"


class _People:
    """Who logs in through the old release; ``said`` is what the tests have to know."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.api = httpx.Client(
            base_url=up.env["COUNTERSIGN_URL"],
            headers={"authorization": f"Bearer {up.env['COUNTERSIGN_API_KEY']}"},
            trust_env=False,
            timeout=30,
        )
        self.phone = httpx.Client(base_url=up.env["SANDBOX_URL"], trust_env=False)
        self.said: dict[str, Any] = {"numbers": _NUMBERS | {"fallen_back": _FALLEN_BACK}}

    def start(self, name: str, **headers: str) -> dict[str, Any]:
        number = self.said["numbers"][name]
        body = {"to": number, "client_ip": f"192.0.2.{len(self.said)}"}
        answer = self.api.post("/v1/verifications", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        self.said[name] = {
            "id": answer.json()["id"],
            "codes": self.codes(number),
            "client_ip": body["client_ip"],
        }
        return dict(answer.json())

    def codes(self, number: str) -> list[str]:
        answer = self.phone.get("/sandbox/messages", params={"to": number})
        return [read_code(m["text"]) for m in answer.json()["messages"]]

    def post(self, name: str, act: str, **body: str) -> dict[str, Any]:
        path = f"/v1/verifications/{self.said[name]['id']}/{act}"
        return dict(self.api.post(path, json=body).raise_for_status().json())

    def live(self) -> None:
        for name in (
            "live",
            "approved",
            "canceled",
            "guessed",
            "fallen_back",
            "stopping",
            "erased",
        ):
            self.start(name)
        self.start("keyed", **{"idempotency-key": "login-1"})
        self.post("approved", "verify", code=self.said["approved"]["codes"][-1])
        self.post("canceled", "cancel")
        self.post("erased", "cancel")
        right = self.said["guessed"]["codes"][-1]
        for wrong in [code for code in ("000000", "000001", "000002") if code != right][:2]:
            self.post("guessed", "verify", code=wrong)
        for _ in range(5):
            self.start("limited")
        self.api.put(f"/v1/opt-outs/{_NUMBERS['put']}").raise_for_status()
        self.phone.post("/sandbox/inbound", json={"from": _NUMBERS["stopped"], "text": "STOP"})
        notice = {"to": _NUMBERS["noticed"], "event": "number_changed"}
        answer = self.api.post("/v1/notices", json=notice).raise_for_status()
        self.said["noticed"] = {"id": answer.json()["id"]}
        while len(self.codes(_FALLEN_BACK)) < 2 or not self._opted_out("stopped"):
            time.sleep(0.1)
        self.said["fallen_back"]["codes"] = self.codes(_FALLEN_BACK)
        time.sleep(2)  # The last reports come in.

    def _opted_out(self, name: str) -> bool:
        return self.api.get(f"/v1/opt-outs/{_NUMBERS[name]}").status_code == 200


def _read(redis: Any, key: str) -> dict[str, Any]:
    kind = redis.type(key)
    value = {
        "string": lambda: redis.get(key),
        "hash": lambda: redis.hgetall(key),
        "zset": lambda: redis.zrange(key, 0, -1, withscores=True),
        "stream": lambda: redis.xrange(key),
    }[kind]()
    ttl = redis.pttl(key)
    return {"key": key, "type": kind, "ttl": None if ttl == -1 else ttl, "value": value}


def _made(up: Up, old: Path) -> list[dict[str, Any]]:
    config = up.folder / "old.toml"
    text = (old / "service" / "cli" / "up.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("ttl = 300", "ttl = 600"), encoding="utf-8")
    up.start(config)
    try:
        people = _People(up)
        people.live()
        redis = Redis.from_url(up.env["REDIS_URL"], decode_responses=True)
        said = people.said | {
            "commit": PREVIOUS,
            "made_at": int(time.time() * 1000),
            "keys": (up.data / "secrets" / "keys").read_text().strip(),
            "api_key": up.env["COUNTERSIGN_API_KEY"],
        }
        return [said, *(_read(redis, key) for key in sorted(map(str, redis.scan_iter())))]
    finally:
        up.stop()


@contextmanager
def previous_release() -> Iterator[Path]:
    """Its code, in a work tree of its own."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "old"
        add = [*git, "add", "--quiet", "--detach", str(code), PREVIOUS]
        subprocess.run(add, check=True, capture_output=True)
        try:
            yield code
        finally:
            subprocess.run([*git, "remove", "--force", str(code)], check=True)


def main() -> None:
    with previous_release() as old, tempfile.TemporaryDirectory() as folder:
        lines = _made(Up(Path(folder), code=old), old)
    FIXTURE.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
