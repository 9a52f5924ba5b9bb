"""What argon2id costs on this machine, and what that means to somebody who stole the store."""

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil

from service.doctor.finding import Finding, ok, warn
from service.domain.code import HASH_PROFILES, SALT_BYTES, Alphabet, Code, HashCost, digest_code

_TIME = 0.2  # seconds of measuring, for one thread and again for the pool
_HOUR = 3600
_ENOUGH_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Speed:
    """``seconds`` of the fastest hash seen, an attacker's measure, for what else this machine does slows
    the others; ``rate``: hashes a second of the whole pool."""

    seconds: float
    rate: float


def measure(cost: HashCost, threads: int | None = None) -> Speed:
    """Hash for a few tenths of a second."""
    count = threads or os.cpu_count() or 1
    _, fastest = _hash_for(_TIME, cost)
    with ThreadPoolExecutor(count) as pool:
        began = time.perf_counter()
        done = sum(hashes for hashes, _ in pool.map(lambda _: _hash_for(_TIME, cost), range(count)))
        rate = done / (time.perf_counter() - began)
    return Speed(fastest, rate)


def measure_profiles(threads: int | None = None) -> dict[str, Speed]:
    """Each named profile's speed."""
    return {name: measure(cost, threads) for name, cost in HASH_PROFILES.items()}


def check_hashing(
    speeds: Mapping[str, Speed],
    *,
    profile: str,
    length: int,
    ttl: int,
    alphabet: Alphabet = Alphabet.DIGITS,
) -> list[Finding]:
    """``profile``, ``length`` and ``alphabet`` of codes as configured; ``ttl``: seconds that a code lives."""
    found = [
        ok(f"argon2id {name}", f"{speed.seconds * 1000:.1f} ms a hash, {speed.rate:.0f} a second")
        for name, speed in speeds.items()
    ]
    found.append(
        ok(
            "stolen Redis",
            "without the pepper (COUNTERSIGN_KEYS) no code can be searched for: "
            "its key is one of 2^256",
        )
    )
    codes = alphabet.values(length)
    return [
        check_codes(alphabet, length),
        *found,
        _with_pepper(speeds[profile].seconds, profile, codes, ttl),
    ]


def check_codes(alphabet: Alphabet, length: int) -> Finding:
    """How hard a code is to guess."""
    says = f"{length} {alphabet} make a code of {alphabet.bits(length):.1f} bits"
    if length >= _ENOUGH_DIGITS or alphabet is not Alphabet.DIGITS:
        return ok("codes", says)
    return warn("codes", says, f"set [codes] length to {_ENOUGH_DIGITS} or more (ASVS 6.5.4)")


def _with_pepper(seconds: float, profile: str, codes: int, ttl: int) -> Finding:
    hours, cores = search_cost(seconds, codes, ttl)
    says = (
        f"all {codes:.2g} codes of one verification ({profile}): {hours:.2g} hours on one core like "
        f"this; {cores} core(s) finish while the code lives ({ttl} s)"
    )
    subject = "stolen Redis and pepper"
    if cores > 1:
        return ok(subject, says)
    return warn(subject, says, "choose a costlier [hash] profile, or longer codes")


def search_cost(seconds: float, codes: int, ttl: int) -> tuple[float, int]:
    """Core hours of a whole search, and cores like this one to be done within ``ttl`` seconds. The salt is
    one per verification, so each verification costs as much again."""
    total = codes * seconds
    return total / _HOUR, max(1, ceil(total / ttl))


def _hash_for(seconds: float, cost: HashCost) -> tuple[int, float]:
    """How many hashes were made, and how long the fastest took."""
    code, salt, pepper = Code("123456"), bytes(SALT_BYTES), bytes(32)
    took: list[float] = []
    end = time.perf_counter() + seconds
    while not took or time.perf_counter() < end:
        began = time.perf_counter()
        digest_code(code, verification="", pepper=pepper, salt=salt, cost=cost)
        took.append(time.perf_counter() - began)
    return len(took), min(took)
