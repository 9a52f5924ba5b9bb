"""An attacker with a dump of Redis and our source: without the pepper no code is found, with it the very
same search finds it, which shows that the search works."""

import base64
import hmac
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest
from argon2.low_level import Type, hash_secret_raw
from redis.asyncio import Redis

from service.domain import code as domain_code
from service.domain.code import HASH_PROFILES, HashCost
from service.domain.keyring import Keyring, parse_keys
from tests.harness import KEYS, World, world

PHONE = "+12025550123"
_CHEAPEST = HashCost(8, 1, 1)  # the least that argon2 takes
Guess = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Loot:
    """What the dump says of one verification, and all the secrets that could be hoped to lie in it."""

    id: str
    salt: bytes
    digests: frozenset[bytes]
    strings: tuple[bytes, ...]


async def _steal(redis: Redis, id_: str) -> Loot:
    names = [str(name) async for name in redis.scan_iter() if await redis.type(name) == "hash"]
    found = {name: _texts(await redis.hgetall(name)) for name in names}
    (codes,) = (fields for key, fields in found.items() if key.endswith(f"c:{id_}"))
    lying_about = {value for fields in found.values() for value in fields.values()}
    digests = {_raw(codes[name]) for name in codes if name.startswith("d")}
    return Loot(
        id_,
        _raw(codes["salt"]),
        frozenset(digests),
        tuple(sorted(text.encode() for text in lying_about)),
    )


def _raw(text: str) -> bytes:
    return base64.b64decode(f"{text}==")


def _texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in fields.items()}


def _search(loot: Loot, cost: HashCost, codes: Iterator[str], keyed: Guess) -> str | None:
    """The code whose digest was stolen, as our source makes it, under a guess of the keyed stage."""
    for code in codes:
        digest = hash_secret_raw(
            keyed(code),
            loot.salt,
            time_cost=cost.iterations,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=domain_code.DIGEST_BYTES,
            type=Type.ID,
        )
        if digest in loot.digests:
            return code
    return None


def _under(loot: Loot, pepper: bytes) -> Guess:
    return lambda code: hmac.digest(pepper, f"{loot.id}|{code}".encode(), "sha256")


def _careless(loot: Loot) -> Mapping[str, Guess]:
    """What a service without our care would have done: the whole range is searched for each."""
    return {
        "the id and the code alone": lambda code: f"{loot.id}|{code}".encode(),
        "an empty pepper": _under(loot, b""),
    }


def _codes(length: int, start: int = 0, step: int = 1) -> Iterator[str]:
    return (f"{number:0{length}d}" for number in range(start, 10**length, step))


def _pepper(loot: Loot) -> Guess:
    ring = Keyring(parse_keys(KEYS))
    return _under(loot, ring.pepper(ring.newest))


async def _attacked(app: World, redis: Redis, length: int) -> tuple[Loot, str]:
    started = await app.start(PHONE, code_length=length)
    (code,) = await app.codes(PHONE)
    return await _steal(redis, started["id"]), code


async def test_a_dump_gives_no_code_without_the_pepper(
    redis: Redis, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a cost far below any profile, so that a search of all 10^4 codes for each guess is cheap."""
    monkeypatch.setitem(HASH_PROFILES, "minimum", _CHEAPEST)
    async with world(valkey) as app:
        loot, code = await _attacked(app, redis, 4)
        found = {
            name: _search(loot, _CHEAPEST, _codes(4), keyed)
            for name, keyed in _careless(loot).items()
        }
        assert set(found.values()) == {None}, found
        # No string of the dump is the pepper, nor is what anybody knows: the right code shows it.
        peppers = (bytes(32), loot.salt, b"countersign pepper", *loot.strings)
        tried = (_search(loot, _CHEAPEST, iter([code]), _under(loot, key)) for key in peppers)
        assert not any(tried)
        assert _search(loot, _CHEAPEST, _codes(4), _pepper(loot)) == code
        assert not any(PHONE[1:].encode() in text for text in loot.strings)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_a_million_codes_match_nothing_without_the_pepper(redis: Redis, valkey: str) -> None:
    cost = HASH_PROFILES["minimum"]
    async with world(valkey) as app:
        loot, code = await _attacked(app, redis, 6)
    with ThreadPoolExecutor(2) as pool:  # argon2 lets go of the GIL
        zeros, right = _under(loot, bytes(32)), _pepper(loot)
        million = [
            pool.submit(_search, loot, cost, _codes(6, start, 2), zeros) for start in range(2)
        ]
        assert [search.result() for search in million] == [None, None]
        near = islice(_codes(6, int(code) // 10_000 * 10_000), 10_000)
        assert _search(loot, cost, near, right) == code
