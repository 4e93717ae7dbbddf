"""The SQLite file, its thread, and everything that breaks."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from sqlite_files import KEY, batch, counted, opened

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.sqlite.file import SQLiteFile
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore


def test_no_stop_signal_ever_goes_to_the_thread(tmp_path):
    """The main thread may hold it back; this one would end the process."""

    async def story():
        file = SQLiteFile(tmp_path / "s.db")
        await file.open()
        try:
            return await file.run(lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        finally:
            await file.close()

    assert {signal.SIGTERM, signal.SIGINT} <= asyncio.run(story())
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_writers_wait_for_each_other_and_no_change_is_lost(tmp_path):
    async def story():
        stores = [SQLiteStore(tmp_path / "s.db") for _ in range(3)]
        for store in stores:
            await store.open()
        await stores[0].keys.create(KEY, b"0" * 32)
        fields = ("rate_limit", "tpm_limit", "monthly_budget_nano")
        for number in range(20):
            await asyncio.gather(
                *(
                    store.keys.update("key_1", {field: number}, now=number)
                    for store, field in zip(stores, fields, strict=True)
                )
            )
            key = await stores[0].keys.get("key_1")
            assert [getattr(key, field) for field in fields] == [number] * 3
        for store in stores:
            await store.close()

    asyncio.run(story())


def test_a_writer_that_does_not_let_go(tmp_path):
    path = tmp_path / "s.db"

    async def story():
        async with opened(path, busy_timeout_seconds=0.01) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreError, match=r"s\.db: locked by another process"):
                    await store.keys.create(KEY, b"a" * 32)
                assert await store.keys.list() == [], "readers go on"
                other.execute("ROLLBACK")
            await store.keys.create(KEY, b"a" * 32)

    asyncio.run(story())


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        asyncio.run(SQLiteStore(path).open())
    assert path.read_bytes().startswith(b"not a database"), "and it is left as it was"


def test_a_damaged_database(tmp_path):
    path = tmp_path / "s.db"

    async def fill():
        async with opened(path) as store:
            await store.keys.create(KEY, b"a" * 32)

    async def read():
        async with opened(path) as store:
            await store.keys.list()

    asyncio.run(fill())
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match="damaged"):
        asyncio.run(read())


def test_a_path_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    with pytest.raises(StoreError, match="file"):
        asyncio.run(SQLiteStore(tmp_path / "file" / "s.db").open())
    with pytest.raises(StoreError, match="cannot be opened"):
        asyncio.run(SQLiteStore(tmp_path / "directory").open())


def test_a_disk_that_is_full(tmp_path):
    """The limit on the size of files stands in for the disk."""

    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.usage.append(batch(0, 1))
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            try:
                with pytest.raises(StoreError, match="disk"):
                    await store.usage.append(batch(1, 3000))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert await counted(store) == 1, "all or none"
            await store.usage.append(batch(1, 3000))
            assert await counted(store) == 3000

    asyncio.run(story())


def test_white_box_a_database_that_is_full_says_so_and_keeps_what_it_has(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.usage.append(batch(0, 100))
            pages = await store._file.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])

            async def limit(count):
                await store._file.run(lambda c: c.execute(f"PRAGMA max_page_count = {count}"))

            await limit(pages)
            with pytest.raises(StoreError, match=r"s\.db: the disk is full"):
                await store.usage.append(batch(100, 1000))
            assert await counted(store) == 100
            await limit(2**30)
            await store.usage.append(batch(100, 1000))
            assert await counted(store) == 1000

    asyncio.run(story())


def test_a_number_too_big_for_a_column_is_a_store_error(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.keys.create(KEY, b"a" * 32)
            with pytest.raises(StoreError, match="too large"):
                await store.keys.update("key_1", {"rate_limit": 2**64}, now=2)
            assert await store.keys.get("key_1") == KEY

    asyncio.run(story())


def test_before_open_and_after_close(tmp_path):
    async def story():
        store = SQLiteStore(tmp_path / "s.db")
        await store.close()
        with pytest.raises(StoreError, match="not open"):
            await store.keys.list()
        for _ in range(2):
            await store.open()
            assert await store.keys.list() == []
            await store.close()
            await store.close()
            with pytest.raises(StoreError, match="not open"):
                await store.keys.list()

    asyncio.run(story())


USE_AFTER_FORK = """
import asyncio, os, sys
from pathlib import Path
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

store = SQLiteStore(Path(sys.argv[1]))
asyncio.run(store.open())
child = os.fork()
if child == 0:
    try:
        asyncio.run(store.keys.list())
    except StoreError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("keys:", asyncio.run(store.keys.list()))
asyncio.run(store.close())
"""


def test_a_store_opened_before_a_fork_says_so_in_the_child(tmp_path):
    # -W: newer Pythons warn of a fork beside a thread, which is the very mistake made here.
    command = [sys.executable, "-W", "ignore", "-c", USE_AFTER_FORK, tmp_path / "s.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    child, parent = done.stdout.splitlines()
    assert "before a fork" in child
    assert parent == "keys: []"
