"""The look-up key: one for the life of a store, opened by any of its master keys."""

import asyncio
import secrets

import pytest

from service.domain.keyring import Keyring
from service.store.connection import StoreSetupError
from service.store.lookup import forget_key, known_keys, open_keyring
from service.store.setup import check_setup
from tests.store.stores import Stores

A, B, C = (secrets.token_bytes(32) for _ in range(3))
PHONE = "+12025550123"
NOW = 1_800_000_000_000


async def test_every_look_up_stays_when_every_first_key_is_gone(stores: Stores) -> None:
    await check_setup(stores.connection)
    first = await open_keyring(stores.connection, Keyring([A]), NOW)
    for ring in ([A, B], [B, A], [B], [B, C], [C, B], [C]):
        opened = await open_keyring(stores.connection, Keyring(ring), NOW)
        assert opened.lookup_id(PHONE) == first.lookup_id(PHONE)
        assert opened.digest("idempotency", "app|key") == first.digest("idempotency", "app|key")
        assert opened.tag_matches("ver_x.1", first.tag("ver_x.1"))


async def test_a_stranger_is_refused_and_told_whose_data_it_is(stores: Stores) -> None:
    await open_keyring(stores.connection, Keyring([A]), NOW)
    with pytest.raises(StoreSetupError, match=Keyring([A]).newest):
        await open_keyring(stores.connection, Keyring([B]), NOW)


async def test_a_retired_key_opens_nothing(stores: Stores) -> None:
    await open_keyring(stores.connection, Keyring([B, A]), NOW)
    await forget_key(stores.connection, Keyring([A]).newest)
    with pytest.raises(StoreSetupError):
        await open_keyring(stores.connection, Keyring([A]), NOW)
    known = await known_keys(stores.connection)
    assert known.copies == {Keyring([B]).newest}
    assert known.since == {Keyring([B]).newest: NOW}


async def test_processes_that_start_at_once_agree(stores: Stores) -> None:
    opened = await asyncio.gather(
        *(open_keyring(stores.connection, Keyring([A]), NOW) for _ in range(20))
    )
    assert len({ring.lookup_id(PHONE) for ring in opened}) == 1


async def test_data_of_layout_1_keeps_the_look_ups_of_its_oldest_key(stores: Stores) -> None:
    await stores.connection.command("HSET", "cs:meta", "layout", "1", "partitions", "64")
    await check_setup(stores.connection)
    opened = await open_keyring(stores.connection, Keyring([B, A]), NOW)
    assert opened.lookup_id(PHONE) == Keyring([A]).with_lookup(
        Keyring([A]).lookup_of_oldest()
    ).lookup_id(PHONE)
    assert await stores.connection.command("HGET", "cs:meta", "layout") == "1"
    alone = await open_keyring(stores.connection, Keyring([B]), NOW)
    assert alone.lookup_id(PHONE) == opened.lookup_id(PHONE)


async def test_a_new_store_has_a_look_up_key_that_no_master_key_gives(stores: Stores) -> None:
    await check_setup(stores.connection)
    ring = Keyring([A])
    opened = await open_keyring(stores.connection, ring, NOW)
    derived = ring.with_lookup(ring.lookup_of_oldest())
    assert opened.lookup_id(PHONE) != derived.lookup_id(PHONE)
