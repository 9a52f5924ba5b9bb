"""``make bench``: what a login costs, as ratios within one run.

The load generator, the sandbox, the service and Valkey share this machine's cores, so the absolute
figures say little beyond it; the ratio to the raw argon2 rate, measured in the same run, does.
"""

import asyncio
import os
import secrets
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.cli import embedded
from service.domain.code import HASH_PROFILES, Code, digest_code
from service.telemetry import configure_logging
from tests.harness import World, read_code, world

AT_ONCE = 16
LOGINS = 200
SECONDS = 2.0
HASHES_A_LOGIN = 2


def raw_hashes(profile: str) -> float:
    """Hashes a second that all cores together can do."""
    cost, salt = HASH_PROFILES[profile], secrets.token_bytes(16)
    count = os.cpu_count() or 1
    end = time.perf_counter() + SECONDS

    def work() -> int:
        done = 0
        while time.perf_counter() < end:
            digest_code(Code("123456"), verification="v", pepper=b"p", salt=salt, cost=cost)
            done += 1
        return done

    with ThreadPoolExecutor(count) as pool:
        return (
            sum(future.result() for future in [pool.submit(work) for _ in range(count)]) / SECONDS
        )


async def logins(app: World, count: int) -> list[float]:
    """Whole logins over HTTP, some at once; gives the seconds that each took."""
    numbers = iter([f"+1{202 + n // 5000}{555 + n % 100}{2000 + n:04d}" for n in range(count)])
    took: list[float] = []

    async def person() -> None:
        for number in numbers:
            begun = time.perf_counter()
            started = await app.start(number)
            (message, *_) = await app.messages(number)
            answer = await app.verify(started["id"], read_code(message["text"]))
            assert answer.json()["approved"]
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*(person() for _ in range(AT_ONCE)))
    return sorted(took)


async def measure(url: str, profile: str) -> None:
    raw = raw_hashes(profile)
    async with world(url, hash={"profile": profile}, limits={"prefix": []}) as app:
        begun = time.perf_counter()
        took = await logins(app, LOGINS)
        rate = LOGINS / (time.perf_counter() - begun)
    share = rate * HASHES_A_LOGIN / raw
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(
        f"| {profile} | {rate:.0f} | {raw / HASHES_A_LOGIN:.0f} | {share:.2f} "
        f"| {p50 * 1000:.0f} | {p99 * 1000:.0f} |"
    )


def main() -> None:
    configure_logging("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        server = embedded.start(Path(folder), password="bench")
        server.wait_ready()
        print("| argon2 profile | logins/s | argon2 alone allows | ratio | p50 ms | p99 ms |")
        print("| --- | --- | --- | --- | --- | --- |")
        try:
            for profile in ("owasp", "minimum"):
                asyncio.run(measure(server.url, profile))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
