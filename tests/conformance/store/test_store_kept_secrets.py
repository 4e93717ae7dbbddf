"""Secrets that the proxy makes for itself, in every store: one for all, whoever asks first."""

from __future__ import annotations

import asyncio
from collections import Counter
from multiprocessing import get_context

import pytest
from dynamo_servers import dynamo_store
from store_rows import a_key, digest

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

ANY_BYTES = bytes(range(256))


def test_the_first_secret_stays(opened):
    async def story():
        async with opened() as store:
            assert await store.kept_secrets.keep_first("seal", ANY_BYTES) == ANY_BYTES
            assert await store.kept_secrets.keep_first("seal", b"later") == ANY_BYTES
            assert await store.kept_secrets.keep_first("other", b"later") == b"later"

    asyncio.run(story())


def test_of_many_at_once_all_get_the_same(opened):
    async def story():
        async with opened() as store:
            for n in range(5):
                asked = [
                    store.kept_secrets.keep_first(f"seal-{n}", bytes([1 + one]))
                    for one in range(20)
                ]
                assert len(set(await asyncio.gather(*asked))) == 1

    asyncio.run(story())


def test_a_secret_is_no_key_and_no_part_of_the_catalog(opened):
    async def story():
        async with opened() as store:
            await store.keys.create(a_key(), digest("s"))
            version = await store.catalog.version()
            await store.kept_secrets.keep_first("seal", b"kept")
            assert await store.catalog.version() == version
            assert [key.id for key in await store.keys.list()] == [a_key().id]
            assert await store.catalog.providers() == []

    asyncio.run(story())


def test_a_store_that_is_down_says_so():
    async def story():
        store = MemoryStore()
        store.down = True
        with pytest.raises(StoreError):
            await store.kept_secrets.keep_first("seal", b"kept")
        store.down = False
        assert await store.kept_secrets.keep_first("seal", b"kept") == b"kept"

    asyncio.run(story())


def _ask(path, number, results):
    async def story():
        store = SQLiteStore(path)
        await store.open()
        try:
            return await store.kept_secrets.keep_first("seal", bytes([number]) * 32)
        finally:
            await store.close()

    results.put(asyncio.run(story()))


def test_processes_that_open_a_new_file_at_once_agree(tmp_path):
    spawned = get_context("spawn")
    results = spawned.Queue()
    processes = [
        spawned.Process(target=_ask, args=(tmp_path / "s.db", 1 + n, results)) for n in range(4)
    ]
    for process in processes:
        process.start()
    found = Counter(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert list(found.values()) == [4]


@pytest.mark.parametrize("kind", ["dynalite", "moto"])
def test_two_machines_agree(kind):
    async def story():
        async with dynamo_store(kind) as one:
            machines = [one, type(one)(one._tables._connect, one._tables.names)]
            await machines[1].open()
            try:
                asked = [
                    machine.kept_secrets.keep_first("seal", bytes([1 + n]))
                    for n, machine in enumerate(machines * 4)
                ]
                assert len(set(await asyncio.gather(*asked))) == 1
            finally:
                await machines[1].close()

    asyncio.run(story())


def test_a_copy_of_the_file_has_the_secret(tmp_path):
    async def story():
        store = SQLiteStore(tmp_path / "s.db")
        await store.open()
        await store.kept_secrets.keep_first("seal", b"kept")
        await store.backup(tmp_path / "copy.db")
        await store.close()
        copy = SQLiteStore(tmp_path / "copy.db")
        await copy.open()
        try:
            assert await copy.kept_secrets.keep_first("seal", b"another") == b"kept"
        finally:
            await copy.close()

    asyncio.run(story())
