"""A proxy outlives its store: what fails to open, breaks or is replaced is connected to again."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
from clocks import Clock

from anthropic_bedrock_proxy.store.base.callers import KeyRecord
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

KEY = KeyRecord(id="key_1", name="n", secret_hint="h", created_at=1, updated_at=1)
OTHER = KeyRecord(id="key_2", name="n", secret_hint="h", created_at=2, updated_at=2)


@pytest.fixture
def clock():
    return Clock(100.0)


@asynccontextmanager
async def opened(path, clock, *keys):
    store = SQLiteStore(path, busy_timeout_seconds=0.01, monotonic=clock)
    await store.open()
    try:
        for key in keys:
            await store.keys.create(key, key.id.encode())
        yield store
    finally:
        await store.close()


def remove(path):
    for file in path.parent.glob(path.name + "*"):
        file.unlink()


def test_a_store_that_could_not_be_opened_is_opened_by_a_later_statement(tmp_path, clock):
    (tmp_path / "disk").write_text("not mounted")
    store = SQLiteStore(tmp_path / "disk" / "s.db", monotonic=clock)

    async def story():
        with pytest.raises(StoreError, match="disk"):
            await store.open()
        (tmp_path / "disk").unlink()
        with pytest.raises(StoreError, match="disk"):
            await store.keys.list()  # the reason of a moment ago, and no attempt
        clock.now += 1.0
        await store.keys.create(KEY, b"a" * 32)
        assert await store.keys.list() == [KEY]
        await store.close()
        with pytest.raises(StoreError, match="not open"):
            await store.keys.list()

    asyncio.run(story())


def test_a_store_that_could_not_be_opened_may_be_opened_again_at_once(tmp_path, clock):
    (tmp_path / "disk").write_text("not mounted")
    store = SQLiteStore(tmp_path / "disk" / "s.db", monotonic=clock)

    async def story():
        for _ in range(2):
            with pytest.raises(StoreError, match="disk"):
                await store.open()
        (tmp_path / "disk").unlink()
        await store.open()
        assert await store.keys.list() == []
        await store.open()
        assert await store.keys.list() == [], "and once more does no harm"
        await store.close()

    asyncio.run(story())


def test_a_migration_of_another_process_is_waited_for_but_not_for_ever(tmp_path, clock):
    store = SQLiteStore(tmp_path / "s.db", busy_timeout_seconds=0.01, monotonic=clock)
    descriptor = os.open(tmp_path, os.O_RDONLY)

    async def story():
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="locked by another process"):
            await store.open()
        os.close(descriptor)
        clock.now += 1.0
        assert await store.keys.list() == []
        await store.close()

    asyncio.run(story())


def test_a_file_that_is_replaced_is_read_from_the_next_statement_on(tmp_path, clock):
    path = tmp_path / "s.db"

    async def story():
        async with opened(tmp_path / "other.db", clock, OTHER) as other:
            await other.backup(tmp_path / "backup.db")
        async with opened(path, clock, KEY) as store:
            assert await store.keys.list() == [KEY]
            remove(path)
            (tmp_path / "backup.db").rename(path)
            assert await store.keys.list() == [OTHER]
            await store.keys.update("key_2", {"name": "other"}, now=3)
        async with opened(path, clock) as store:
            assert (await store.keys.get("key_2")).name == "other"

    asyncio.run(story())


def test_a_file_that_is_gone_is_not_made_anew_while_the_store_is_open(tmp_path, clock):
    path, away = tmp_path / "s.db", tmp_path / "away.db"

    async def story():
        async with opened(path, clock, KEY) as store:
            await store.backup(away)
            remove(path)
            for _ in range(3):
                with pytest.raises(StoreError, match="gone"):
                    await store.keys.list()
                assert not path.exists()
                clock.now += 1.0
            away.rename(path)
            assert await store.keys.list() == [KEY]
            remove(path)
            await store.open()
            assert await store.keys.list() == [], "whoever opens it means a new one"

    asyncio.run(story())


def test_a_file_that_was_damaged_and_restored_in_place(tmp_path, clock):
    path = tmp_path / "s.db"

    async def story():
        async with opened(path, clock, KEY) as store:
            await store.backup(tmp_path / "backup.db")
        good = (tmp_path / "backup.db").read_bytes()
        path.write_bytes(good[:4096] + b"\xff" * (len(good) - 4096))
        store = SQLiteStore(path, monotonic=clock)
        for attempt in (store.open, store.keys.list):
            with pytest.raises(StoreError, match="damaged"):
                await attempt()
        path.write_bytes(good)
        clock.now += 1.0
        assert await store.keys.list() == [KEY]
        await store.close()

    asyncio.run(story())


def test_a_connection_that_is_lost_again_at_once_is_not_made_again_at_once(tmp_path, clock):
    path = tmp_path / "s.db"

    async def story():
        async with opened(path, clock, KEY) as store:
            for number in range(2):
                await store.backup(tmp_path / f"{number}.db")
            (tmp_path / "0.db").replace(path)
            assert await store.keys.list() == [KEY]
            (tmp_path / "1.db").replace(path)
            with pytest.raises(StoreError, match="lost"):
                await store.keys.list()
            clock.now += 1.0
            assert await store.keys.list() == [KEY]

    asyncio.run(story())


def test_a_lock_of_another_process_costs_no_connection(tmp_path, clock):
    path = tmp_path / "s.db"

    async def story():
        async with opened(path, clock, KEY) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                for _ in range(2):
                    other.execute("BEGIN IMMEDIATE")
                    with pytest.raises(StoreError, match="locked by another process"):
                        await store.keys.create(OTHER, b"b")
                    other.execute("ROLLBACK")
                    assert await store.keys.list() == [KEY]

    asyncio.run(story())


def test_a_file_that_was_made_once_is_not_made_anew_by_who_opens_later(tmp_path, clock):
    path = tmp_path / "data" / "s.db"

    async def work():
        store = SQLiteStore(path, busy_timeout_seconds=0.01, monotonic=clock)
        store.make()
        path.parent.rename(tmp_path / "away")
        with pytest.raises(StoreError, match="gone; put it back"):
            await store.open()
        assert not path.parent.exists()
        (tmp_path / "away").rename(path.parent)
        await store.open()
        await store.keys.create(KEY, b"k")
        await store.close()

    asyncio.run(work())


def test_a_place_that_cannot_be_written_to_at_first_gets_its_file_later(tmp_path, clock):
    (tmp_path / "data").write_text("")
    path = tmp_path / "data" / "s.db"

    async def work():
        store = SQLiteStore(path, busy_timeout_seconds=0.01, monotonic=clock)
        with pytest.raises(StoreError):
            store.make()
        path.parent.unlink()
        await store.open()
        await store.close()

    asyncio.run(work())
    assert path.exists()
